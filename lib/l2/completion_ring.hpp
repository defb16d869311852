// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/unique_event.hpp"
#include "p2prdma/l2/request.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace p2prdma::l2 {

/// Completions that wait to be polled. It never overruns: each has its room from when its request
/// is posted until it is polled. Thread-safety: the engine's.
class CompletionRing {
public:
    explicit CompletionRing(std::uint32_t entries) : ring_(entries) {}

    /// A share for a queue pair of so many entries: as long as its user polls, it has room for what
    /// it posts. False: there is not that much.
    [[nodiscard]] bool claim(std::uint32_t entries) noexcept
    {
        if (entries > ring_.size() - claimed_)
            return false;
        claimed_ += entries;
        return true;
    }
    void unclaim(std::uint32_t entries) noexcept { claimed_ -= entries; }

    /// Whether a request may be posted; then its room is reserved, and used by push() or given
    /// back.
    [[nodiscard]] bool has_room() const noexcept { return count_ + reserved_ < ring_.size(); }
    void reserve() noexcept { ++reserved_; }
    void give_back() noexcept { --reserved_; }

    /// Into room that was reserved.
    void push(const Completion& completion, bool solicited) noexcept;
    [[nodiscard]] std::size_t pop(std::span<Completion> out) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] std::uint32_t capacity() const noexcept
    {
        return static_cast<std::uint32_t>(ring_.size());
    }

    /// The event is rung at the next completion that fits, or now if one came since the last pop().
    void arm(bool solicited_only) noexcept;
    void disarm() noexcept { armed_ = Armed::no; }
    /// \throws Error no file descriptor can be had
    void use_event() { event_.open(); }
    [[nodiscard]] int event() const noexcept { return event_.fd(); }

private:
    enum class Armed : std::uint8_t { no, solicited, all };

    [[nodiscard]] bool rings(bool solicited) const noexcept
    {
        return armed_ == Armed::all || (armed_ == Armed::solicited && solicited);
    }
    void ring_event() noexcept;

    std::vector<Completion> ring_;
    std::size_t head_ = 0, count_ = 0;
    std::uint32_t claimed_ = 0, reserved_ = 0;
    Armed armed_ = Armed::no;
    bool any_since_ = false, solicited_since_ = false;
    UniqueEvent event_;
};

} // namespace p2prdma::l2
