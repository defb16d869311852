// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/mapping.hpp"
#include "p2prdma/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma {

/// The memory through which the card's own machine asks and the host grants, opened and mapped by
/// Card::open_control(); its layout is in <linux/p2prdma_control.h>. Move-only; when it goes the
/// card is told that the epoch is over.
class P2PRDMA_API ControlArea final {
public:
    /// Takes over what the kernel opened, and maps it.
    /// \throws Error card_gone, or the errno of mmap
    ControlArea(UniqueFd dmabuf, std::uint32_t epoch, std::size_t length)
        : epoch_(epoch), mapping_(dmabuf.get(), length)
    {
    }

    /// The number of this opening, never 0.
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
    /// The area, zeroed at the opening. The card may change it at any time: what is read must be
    /// copied once and then checked. Any access raises SIGBUS once the card is gone.
    [[nodiscard]] std::span<volatile std::byte> span() const noexcept { return mapping_.span(); }

private:
    std::uint32_t epoch_ = 0;
    Mapping mapping_;
};

} // namespace p2prdma
