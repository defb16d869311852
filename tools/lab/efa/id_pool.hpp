// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace lab::efa {

/// Gives out numbers below a limit. The number free for longest comes first, so that a stale
/// number stays invalid for as long as possible.
class IdPool {
public:
    explicit IdPool(std::uint32_t limit) : limit_(limit) {}

    std::optional<std::uint32_t> take()
    {
        if (fresh_ < limit_)
            return fresh_++;
        if (free_.empty())
            return std::nullopt;
        std::uint32_t id = free_.front();
        free_.pop_front();
        return id;
    }
    /// Takes back what take() returned.
    void give(std::uint32_t id) { free_.push_back(id); }

private:
    std::uint32_t limit_;
    std::uint32_t fresh_ = 0;
    std::deque<std::uint32_t> free_;
};

} // namespace lab::efa
