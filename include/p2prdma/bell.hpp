// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/unique_fd.hpp"

#include <cstdint>

namespace p2prdma {

/// A bell that the card's own machine rings, tied to an eventfd; made by Card::bind_bell().
/// Move-only; unbinds when it goes.
///
/// Thread-safety: as for any descriptor: take() of one ring succeeds in one thread.
class P2PRDMA_API Bell final {
public:
    /// Takes over a binding: `card` is a descriptor of the open card through which it was made.
    Bell(UniqueFd card, UniqueFd eventfd, std::uint32_t number) noexcept;
    Bell(Bell&& other) noexcept = default;
    Bell& operator=(Bell&& other) noexcept;
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;
    ~Bell();

    /// Readable once the bell has rung. Non-blocking.
    [[nodiscard]] int fd() const noexcept { return eventfd_.get(); }
    [[nodiscard]] std::uint32_t number() const noexcept { return number_; }
    /// Whether the bell rang since it was last asked; rings may coalesce. Does not wait.
    bool take() noexcept;

private:
    void unbind() noexcept;

    UniqueFd card_;
    UniqueFd eventfd_;
    std::uint32_t number_ = 0;
};

} // namespace p2prdma
