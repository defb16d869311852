// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/unique_fd.hpp"

#include <cstdint>

namespace p2prdma {

/// What a window lets through.
enum class Access {
    read = 1,
    write = 2,
    read_write = 3,
};

/// A way for the card's own machine into a range of a dma-buf: the owner of a window's descriptor,
/// made by Card::open_window(). Move-only; closes the window when it goes: after that nothing that
/// the card has done through it lands.
///
/// Thread-safety: const methods may be called by several threads at once.
class P2PRDMA_API Window final {
public:
    /// Takes over what the kernel opened.
    Window(UniqueFd fd, std::uint32_t slot, std::uint64_t aperture_offset,
           std::uint64_t length) noexcept
        : fd_(std::move(fd)), slot_(slot), aperture_offset_(aperture_offset), length_(length)
    {
    }

    /// poll() says POLLHUP once the window was taken away: what lies behind it has gone, or the
    /// card was reset.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
    /// Where the card finds the first byte in its aperture; page-aligned.
    [[nodiscard]] std::uint64_t aperture_offset() const noexcept { return aperture_offset_; }
    /// Bytes.
    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
    /// Whether it is still there; see fd().
    [[nodiscard]] bool is_open() const noexcept;
    /// Takes away what lies behind it: on return nothing that the card has done through it lands
    /// any more. The slot stays this window's until it goes, for cards that have it mapped still.
    void shut() noexcept;

private:
    UniqueFd fd_;
    std::uint32_t slot_ = 0;
    std::uint64_t aperture_offset_ = 0;
    std::uint64_t length_ = 0;
};

} // namespace p2prdma
