// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace p2prdma::l2 {

/// When whom to look at next. Entries are never moved: who is looked at too early puts itself in
/// again. So a timer that is pushed back at each frame costs nothing.
class TimerHeap {
public:
    struct Entry {
        Time due;
        std::uint32_t whom = 0;
        friend auto operator<=>(const Entry& a, const Entry& b) { return a.due <=> b.due; }
        friend bool operator==(const Entry& a, const Entry& b) { return a.due == b.due; }
    };

    void push(Time due, std::uint32_t whom)
    {
        entries_.push_back({due, whom});
        std::push_heap(entries_.begin(), entries_.end(), std::greater<>());
    }
    [[nodiscard]] bool due(Time now) const noexcept
    {
        return !entries_.empty() && entries_.front().due <= now;
    }
    [[nodiscard]] std::uint32_t pop() noexcept
    {
        std::pop_heap(entries_.begin(), entries_.end(), std::greater<>());
        const auto whom = entries_.back().whom;
        entries_.pop_back();
        return whom;
    }
    /// Time::max(): never.
    [[nodiscard]] Time next() const noexcept
    {
        return entries_.empty() ? Time::max() : entries_.front().due;
    }
    void reserve(std::size_t entries) { entries_.reserve(entries); }

private:
    std::vector<Entry> entries_;
};

} // namespace p2prdma::l2
