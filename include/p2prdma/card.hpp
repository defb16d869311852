// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/bell.hpp"
#include "p2prdma/control_area.hpp"
#include "p2prdma/doorbell.hpp"
#include "p2prdma/isolation.hpp"
#include "p2prdma/memory.hpp"
#include "p2prdma/pci_address.hpp"
#include "p2prdma/reach.hpp"
#include "p2prdma/unique_fd.hpp"
#include "p2prdma/window.hpp"

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
    bool has_doorbells = false;         ///< open_doorbell() works
    bool has_windows = false;           ///< open_window() works
    bool has_bells = false;             ///< bind_bell() works: the card can ring the host
    bool has_control = false;           ///< open_control() works: the card has its own machine
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

    /// Lets the card's own machine reach `length` bytes (> 0) of a dma-buf from `offset` on: HCA
    /// registers, memory of a card, a doorbell page, or host memory (udmabuf). The descriptor may
    /// be closed after. \throws Error card_full: all windows are in use; unsupported: the card has
    /// none, or cannot
    ///         reach that memory; bad_argument; card_gone
    [[nodiscard]] Window open_window(int dmabuf, std::uint64_t offset, std::uint64_t length,
                                     Access access = Access::read_write) const;
    /// Takes a free doorbell page of the card. \throws Error card_full, unsupported, card_gone
    [[nodiscard]] Doorbell open_doorbell(const DoorbellOptions& options = {}) const;
    /// Ties the bell `number` (0 to 31; 0 is the control area's), which the card's own machine
    /// rings, to an eventfd. \throws Error bad_argument, unsupported, card_gone, or EBUSY
    [[nodiscard]] Bell bind_bell(std::uint32_t number) const;
    /// Opens the control area. \throws Error unsupported, card_gone, or EBUSY: it is open already
    [[nodiscard]] ControlArea open_control() const;

    /// Asks the kernel whether the PCI function at `peer` reaches this card's memory.
    /// \throws Error bad_argument if there is no such function, card_gone
    [[nodiscard]] Reach reach(const PciAddress& peer) const;
    /// The same for an RDMA device; one without a PCI function is Reach::Kind::unsupported.
    [[nodiscard]] Reach reach(const ibv_device& adapter) const;
    /// What isolates this card next to the adapter at `adapter`: see Isolation. Linux 7.3 puts the
    /// devices below a switch without access control into IOMMU groups of their own, though they
    /// reach each other past the IOMMU; so each is asked for by reach().
    /// \throws Error card_gone
    [[nodiscard]] Isolation isolation(const PciAddress& adapter) const;

private:
    Card(UniqueFd fd, unsigned number) noexcept : fd_(std::move(fd)), number_(number) {}
    [[nodiscard]] static Card open_path(const std::filesystem::path& path, unsigned number);

    UniqueFd fd_;
    unsigned number_ = 0;
};

} // namespace p2prdma
