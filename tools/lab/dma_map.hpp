// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/route.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>

namespace lab {

/// What QEMU told one device about its bus address space: which ranges are backed by memory that
/// is mapped into this process, and which QEMU alone can reach.
///
/// Ranges never overlap and may end at 2^64. Not thread-safe.
class DmaMap {
public:
    /// A mapped range. `memory` is null if QEMU gave no descriptor for it.
    struct Range {
        std::uint64_t address = 0;
        std::uint64_t last = 0; ///< last byte, inclusive: a range may end at 2^64
        std::byte* memory = nullptr;
        bool writable = false;
        Route route = Route::message;
        std::shared_ptr<const void> owner; ///< keeps `memory` mapped
    };

    static constexpr std::uint64_t max_address = std::numeric_limits<std::uint64_t>::max();

    /// Adds a range; what it overlaps is replaced. `range.last` must not be below its address.
    void add(Range range);
    /// Removes [address, last]; ranges that stick out keep the rest.
    void remove(std::uint64_t address, std::uint64_t last);
    void clear();

    /// The range that holds `address`, or null. Valid until the map changes. O(log n).
    const Range* find(std::uint64_t address) const;
    /// The first mapped address above `address`, or max_address.
    std::uint64_t next(std::uint64_t address) const;
    std::size_t size() const { return ranges_.size(); }

private:
    void keep_tail(const Range& range, std::uint64_t last);

    std::map<std::uint64_t, Range> ranges_; ///< by first address
    mutable const Range* recent_ = nullptr; ///< what find() found last: DMA has locality
};

} // namespace lab
