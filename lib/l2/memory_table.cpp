// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/memory_table.hpp"

namespace p2prdma::l2 {
namespace {

bool contains(const RegisteredRange& range, std::uint64_t address, std::uint64_t length) noexcept
{
    std::uint64_t end = 0;
    if (__builtin_add_overflow(address, length, &end) || address < range.start)
        return false;
    return end - range.start <= range.length;
}

bool admits(const RegisteredRange& range, const AccessScope& scope) noexcept
{
    if (range.domain != scope.domain || !allows(range.access, scope.wanted))
        return false;
    return scope.peer == nullptr || !range.only || *range.only == *scope.peer;
}

} // namespace

std::size_t MemoryTable::slot_of(std::uint32_t key) const noexcept
{
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = key & mask;
    while (slots_[slot].key != key && slots_[slot].key != 0)
        slot = (slot + 1) & mask;
    return slot;
}

void MemoryTable::put(const RegisteredRange& range) noexcept
{
    slots_[slot_of(range.key)] = range;
}

void MemoryTable::grow()
{
    std::vector<RegisteredRange> old(slots_.size() * 2);
    old.swap(slots_);
    for (const auto& range : old)
        if (range.key != 0)
            put(range);
}

std::uint32_t MemoryTable::add(RegisteredRange range)
{
    if ((used_ + 1) * 2 > slots_.size())
        grow();
    do
        range.key = static_cast<std::uint32_t>(random_());
    while (range.key == 0 || find(range.key) != nullptr);
    put(range);
    ++used_;
    return range.key;
}

void MemoryTable::remove(std::uint32_t key) noexcept
{
    const std::size_t mask = slots_.size() - 1;
    auto hole = slot_of(key);
    if (key == 0 || slots_[hole].key == 0)
        return;
    --used_;
    // What was put behind it because its place was taken moves up, or it would be lost.
    for (auto at = (hole + 1) & mask; slots_[at].key != 0; at = (at + 1) & mask) {
        const std::size_t home = slots_[at].key & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        slots_[hole] = slots_[at];
        hole = at;
    }
    slots_[hole] = {};
}

void MemoryTable::restrict_to(std::uint32_t key, const MacAddress& peer) noexcept
{
    auto& range = slots_[slot_of(key)];
    if (range.key != 0)
        range.only = peer;
}

const RegisteredRange* MemoryTable::find(std::uint32_t key) const noexcept
{
    if (key == 0)
        return nullptr;
    const auto& range = slots_[slot_of(key)];
    return range.key == key ? &range : nullptr;
}

const RegisteredRange* MemoryTable::check(std::uint32_t key, std::uint64_t address,
                                          std::uint64_t length,
                                          const AccessScope& scope) const noexcept
{
    const auto* range = find(key);
    if (range == nullptr || !admits(*range, scope) || !contains(*range, address, length))
        return nullptr;
    return range;
}

} // namespace p2prdma::l2
