// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/dma_map.hpp"

#include <iterator>
#include <utility>

namespace lab {

void DmaMap::add(Range range)
{
    remove(range.address, range.last);
    std::uint64_t address = range.address;
    ranges_.emplace(address, std::move(range));
}

void DmaMap::remove(std::uint64_t address, std::uint64_t last)
{
    recent_ = nullptr;
    auto it = ranges_.upper_bound(address);
    if (it != ranges_.begin() && std::prev(it)->second.last >= address)
        --it;
    while (it != ranges_.end() && it->first <= last) {
        Range range = std::move(it->second);
        it = ranges_.erase(it);
        if (range.last > last)
            keep_tail(range, last);
        if (range.address < address) {
            range.last = address - 1;
            ranges_.emplace(range.address, std::move(range));
        }
    }
}

void DmaMap::keep_tail(const Range& range, std::uint64_t last)
{
    Range tail = range;
    tail.address = last + 1; // cannot wrap: range.last is above it
    if (tail.memory)
        tail.memory += tail.address - range.address;
    std::uint64_t address = tail.address;
    ranges_.emplace(address, std::move(tail));
}

void DmaMap::clear()
{
    recent_ = nullptr;
    ranges_.clear();
}

const DmaMap::Range* DmaMap::find(std::uint64_t address) const
{
    if (recent_ && address >= recent_->address && address <= recent_->last)
        return recent_;
    auto it = ranges_.upper_bound(address);
    if (it == ranges_.begin())
        return nullptr;
    const Range& range = std::prev(it)->second;
    if (address > range.last)
        return nullptr;
    return recent_ = &range;
}

std::uint64_t DmaMap::next(std::uint64_t address) const
{
    auto it = ranges_.upper_bound(address);
    return it == ranges_.end() ? max_address : it->first;
}

} // namespace lab
