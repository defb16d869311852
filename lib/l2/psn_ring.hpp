// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/wire.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace p2prdma::l2 {

/// One T for each of a run of PSNs. Empty it has no memory; it grows by doubling, to `limit`.
///
/// Thread-safety: none.
template <class T>
class PsnRing {
public:
    static constexpr std::uint32_t limit = 4096;

    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return capacity_ * sizeof(T); }
    /// What bytes() would be after reserve() of so many.
    [[nodiscard]] static constexpr std::size_t bytes_for(std::uint32_t count) noexcept
    {
        return capacity_for(count) * sizeof(T);
    }

    /// The capacity that `count` needs: a power of two, so that an index survives the wrap of PSNs.
    [[nodiscard]] static constexpr std::uint32_t capacity_for(std::uint32_t count) noexcept
    {
        return std::bit_ceil(std::max(count, 16U));
    }
    /// Makes room for `count` PSNs from `first` on; those that were there keep their T. False:
    /// there is no memory, or count is beyond the limit.
    [[nodiscard]] bool reserve(std::uint32_t first, std::uint32_t count) noexcept
    {
        return count <= capacity_ || grow(first, capacity_for(count));
    }
    void release() noexcept
    {
        slots_.reset();
        capacity_ = 0;
    }

    void prefetch(std::uint32_t psn) const noexcept
    {
        if (capacity_ != 0)
            __builtin_prefetch(&(*this)[psn], 1);
    }
    [[nodiscard]] T& operator[](std::uint32_t psn) noexcept
    {
        return slots_[psn & (capacity_ - 1)];
    }
    [[nodiscard]] const T& operator[](std::uint32_t psn) const noexcept
    {
        return slots_[psn & (capacity_ - 1)];
    }

private:
    [[nodiscard, gnu::cold]] bool grow(std::uint32_t first, std::uint32_t capacity) noexcept
    {
        if (capacity > limit)
            return false;
        std::unique_ptr<T[]> larger(new (std::nothrow) T[capacity]());
        if (!larger)
            return false;
        for (std::uint32_t i = 0; i < capacity_; ++i)
            larger[(first + i) & (capacity - 1)] = std::move((*this)[first + i]);
        slots_ = std::move(larger);
        capacity_ = capacity;
        return true;
    }

    std::unique_ptr<T[]> slots_;
    std::uint32_t capacity_ = 0;
};

} // namespace p2prdma::l2
