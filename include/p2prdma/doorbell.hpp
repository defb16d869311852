// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/mapping.hpp"
#include "p2prdma/memory.hpp"
#include "p2prdma/unique_fd.hpp"

#include <cstddef>
#include <cstdint>

namespace p2prdma {

/// What Card::open_doorbell() may be told.
struct DoorbellOptions {
    bool control = false; ///< page 0, by which the owner of the control area calls the card
    Policy policy = Policy::pinnable;
};

/// A doorbell page of the card: the owner of a dma-buf of one page. Any write of 1 to 8 bytes to
/// its beginning, by the CPU or by a device that reaches it, interrupts the card's own machine.
/// Move-only. The page is free again when the last reference to the dma-buf is gone: descriptors,
/// mappings and importers.
class P2PRDMA_API Doorbell final {
public:
    /// Takes over what the kernel opened.
    Doorbell(UniqueFd dmabuf, std::uint32_t page, std::size_t length) noexcept
        : fd_(std::move(dmabuf)), page_(page), length_(length)
    {
    }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// Which page of the card.
    [[nodiscard]] std::uint32_t page() const noexcept { return page_; }
    /// Bytes of the dma-buf.
    [[nodiscard]] std::size_t length() const noexcept { return length_; }
    /// For ringing by the CPU: an 8-byte store at offset 0. Uncached.
    /// \throws Error card_gone, or the errno of mmap
    [[nodiscard]] Mapping map() const { return Mapping(fd_.get(), length_); }

private:
    UniqueFd fd_;
    std::uint32_t page_ = 0;
    std::size_t length_ = 0;
};

} // namespace p2prdma
