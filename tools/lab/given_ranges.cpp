// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/given_ranges.hpp"

#include <algorithm>
#include <limits>

namespace lab {

std::uint64_t GivenRanges::end_of(std::uint64_t offset, std::uint64_t length)
{
    return offset + std::min(length, std::numeric_limits<std::uint64_t>::max() - offset);
}

/// What lies before and behind of ranges that it cuts stays.
void GivenRanges::remove(std::uint64_t offset, std::uint64_t end)
{
    auto it = ranges_.upper_bound(offset);
    if (it != ranges_.begin())
        --it;
    while (it != ranges_.end() && it->first < end) {
        auto [from, to] = *it;
        if (to <= offset) {
            ++it;
            continue;
        }
        it = ranges_.erase(it);
        if (from < offset)
            ranges_.emplace(from, offset);
        if (to > end)
            ranges_.emplace(end, to);
    }
}

void GivenRanges::give(std::uint64_t offset, std::uint64_t length)
{
    told_ = true;
    std::uint64_t end = end_of(offset, length);
    remove(offset, end);
    if (end > offset)
        ranges_.emplace(offset, end);
}

void GivenRanges::take_back(std::uint64_t offset, std::uint64_t length)
{
    told_ = true;
    remove(offset, end_of(offset, length));
}

bool GivenRanges::covers(std::uint64_t offset, std::uint64_t length) const
{
    std::uint64_t end = end_of(offset, length);
    auto it = ranges_.upper_bound(offset);
    while (told_ && offset < end) { // neighbours are not joined
        if (it == ranges_.begin() || std::prev(it)->second <= offset)
            return false;
        offset = std::prev(it)->second;
        it = ranges_.upper_bound(offset);
    }
    return true;
}

} // namespace lab
