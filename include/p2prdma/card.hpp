// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/memory.hpp"
#include "p2prdma/pci_address.hpp"
#include "p2prdma/reach.hpp"
#include "p2prdma/unique_fd.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

struct ibv_device;

namespace p2prdma {

/// A card that the kernel module drives, as found in sysfs.
struct CardEntry {
    unsigned number = 0; ///< N of /dev/p2prdma/cardN
    PciAddress address;
};

/// A card's identity and capacity at the time of the question.
struct CardInfo {
    std::string driver; ///< "pci", "ivshmem" or "refcard"
    PciAddress address;
    std::uint16_t vendor = 0; ///< PCI vendor id
    std::uint16_t device = 0; ///< PCI device id
    int numa_node = -1;       ///< -1: unknown
    std::uint32_t abi_version = 0;
    std::uint64_t mem_size = 0;         ///< bytes that the module manages
    std::uint64_t mem_free = 0;         ///< bytes of it that are free
    std::uint64_t mem_largest_free = 0; ///< the largest single allocation possible, bytes
    std::uint32_t mem_granule = 0;      ///< allocations are rounded up to multiples of it, bytes
    bool has_memory = false;            ///< allocate() works
    bool has_p2pdma = false;            ///< the kernel routes peer-to-peer DMA to this card
    bool has_revoke = false;            ///< Policy::revocable is accepted
    bool has_doorbells = false;         ///< the card has doorbell pages
};

/// What allocate() may be told.
struct AllocateOptions {
    std::uint64_t alignment = 0; ///< 0, or a power of two: of the range inside the card
    Cache cache = Cache::write_combining;
    Policy policy = Policy::pinnable;
};

/// An open card: the owner of a descriptor of /dev/p2prdma/cardN. Move-only.
///
/// Thread-safety: all const methods may be called by several threads at once.
class P2PRDMA_API Card final {
public:
    /// The cards of this machine by number. `sysfs` is where sysfs is mounted.
    /// \throws Error module_not_loaded
    [[nodiscard]] static std::vector<CardEntry>
    enumerate(const std::filesystem::path& sysfs = "/sys");

    /// Opens a card by its number.
    /// \throws Error module_not_loaded, no_such_card, card_gone, not_permitted, version_mismatch
    [[nodiscard]] static Card open(unsigned number);
    /// Opens a card by its PCI address. \throws Error as open(unsigned)
    [[nodiscard]] static Card open(const PciAddress& address);
    /// Opens a card by a text: "0", "card0", "/dev/p2prdma/card0", "0000:03:00.0" or "03:00.0".
    /// \throws Error as open(unsigned), not_a_card, bad_argument
    [[nodiscard]] static Card open(std::string_view name);

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] unsigned number() const noexcept { return number_; }
    /// "card0"
    [[nodiscard]] std::string name() const { return "card" + std::to_string(number_); }

    /// \throws Error card_gone
    [[nodiscard]] CardInfo info() const;

    /// Allocates zeroed card memory of at least `length` bytes (> 0).
    /// \throws Error card_full (the sentence tells wanted, free and largest free bytes), card_gone,
    ///         bad_argument, unsupported
    [[nodiscard]] Memory allocate(std::uint64_t length, const AllocateOptions& options = {}) const;

    /// Asks the kernel whether the PCI function at `peer` reaches this card's memory.
    /// \throws Error bad_argument if there is no such function, card_gone
    [[nodiscard]] Reach reach(const PciAddress& peer) const;
    /// The same for an RDMA device; one without a PCI function is Reach::Kind::unsupported.
    [[nodiscard]] Reach reach(const ibv_device& adapter) const;

private:
    Card(UniqueFd fd, unsigned number) noexcept : fd_(std::move(fd)), number_(number) {}
    [[nodiscard]] static Card open_path(const std::filesystem::path& path, unsigned number);

    UniqueFd fd_;
    unsigned number_ = 0;
};

} // namespace p2prdma
