// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/device.hpp"
#include "p2prdma/l2/request.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace p2prdma::l2 {

/// Where work requests end. Move-only.
class P2PRDMA_API CompletionQueue final {
public:
    /// \param entries  room for so many; the queue pairs that complete here together may have no
    ///                 more entries. It never overruns: what has ended and was not polled takes
    ///                 room, too, and where there is none left nothing can be posted
    CompletionQueue(const Device& device, std::uint32_t entries);

    /// Takes what has ended, at most as many as fit; moves the device on where there is nothing.
    [[nodiscard]] std::size_t poll(std::span<Completion> completions) noexcept;

    /// Asks for the fd to become readable at the next completion, also one that came since the last
    /// poll(). \param solicited  only at one that was solicited, or failed
    void arm(bool solicited = false) noexcept;
    /// Readable after arm(), until poll().
    [[nodiscard]] int fd() const noexcept;
    /// poll(), or sleeps until something ends, or the time is over (0 is returned).
    [[nodiscard]] std::size_t wait(std::span<Completion> completions,
                                   std::chrono::steady_clock::time_point until) noexcept;

    struct State;
    [[nodiscard]] const std::shared_ptr<State>& state() const noexcept { return state_; }

private:
    std::shared_ptr<State> state_;
};

} // namespace p2prdma::l2
