// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/mapped_memory.hpp"
#include "tools/lab/route.hpp"

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace lab {

class PciDevice;

/// A file of QEMU's, mapped into this process as long as any device has DMA ranges in it.
struct FileMapping {
    enum class Kind : std::uint8_t {
        ram, ///< the machine's memory
        bar, ///< a BAR of one of QEMU's own devices, such as ivshmem
    };
    MappedMemory memory;
    Kind kind = Kind::bar;
    int switch_id = -1; ///< Kind::bar: the switch that the device is below, or -1
};

/// One emulated machine: its devices, which switch each is below, and which files its memory is.
///
/// It answers what a PCIe fabric would: which device decodes an address, and whether the way
/// there leads through the host bridge. Not thread-safe; devices are removed before they go.
class Machine {
public:
    /// A file behind a BAR of one of QEMU's own devices.
    struct BarFile {
        std::string path;
        std::string switch_name; ///< empty: below a root port of its own
    };

    /// A BAR as the machine's guest has set it up.
    struct DecodedBar {
        std::uint64_t address;
        std::uint64_t size;
        PciDevice* device;
        unsigned bar;
    };

    Machine(std::string name, std::vector<std::string> ram, std::vector<BarFile> bars = {});
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    const std::string& name() const { return name_; }

    /// Puts `device` below the switch of that name; empty: below a root port of its own.
    void add(PciDevice& device, std::string_view switch_name);
    void remove(PciDevice& device);

    /// The enabled BAR that holds `address`, or null; valid until a device's BARs change. O(log n).
    const DecodedBar* find_bar(std::uint64_t address) const;
    /// The address of the first enabled BAR above `address`, or 2^64-1.
    std::uint64_t next_bar(std::uint64_t address) const;
    static bool same_switch(const PciDevice& one, const PciDevice& other);

    /// A device's BARs or memory enable changed.
    void decoding_changed() { decoded_valid_ = false; }

    /// Maps the whole file behind `fd`; each file is mapped once. Throws std::system_error.
    std::shared_ptr<const FileMapping> map_file(int fd, bool writable);
    /// The way from `requester` to that file's memory.
    static Route route(const PciDevice& requester, const FileMapping& file);

private:
    using FileKey = std::tuple<std::uint64_t, std::uint64_t, bool>; ///< device, inode, writable

    int switch_id(std::string_view name);
    void classify(FileMapping& file, const FileKey& key);
    const std::vector<DecodedBar>& decoded() const;
    void decode() const;

    std::string name_;
    std::vector<std::string> ram_;
    std::vector<BarFile> bars_;
    std::vector<std::string> switches_; ///< a switch's id is its index
    std::vector<PciDevice*> devices_;
    std::map<FileKey, std::weak_ptr<const FileMapping>> files_;
    mutable std::vector<DecodedBar> decoded_; ///< by address
    mutable bool decoded_valid_ = false;
};

} // namespace lab
