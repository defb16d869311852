// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/efa/id_pool.hpp"
#include "tools/lab/route.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

namespace lab::efa {

/// What a region's owner allows; as in the registration command.
struct Access {
    static constexpr std::uint8_t local_write = 1u << 0;
    static constexpr std::uint8_t remote_write = 1u << 1;
    static constexpr std::uint8_t remote_read = 1u << 2;
    static constexpr std::uint8_t all = local_write | remote_write | remote_read;
};

/// Registered memory: a range of virtual addresses (IOVA), backed by equally large pages that lie
/// anywhere in the bus address space.
class MemoryRegion {
public:
    struct Layout {
        std::uint16_t pd;
        std::uint8_t access; ///< bits of Access
        std::uint8_t page_shift;
        std::uint64_t iova;
        std::uint64_t length;
    };

    /// Pages that a region of this layout has, or 0 if the layout is impossible: no length, an
    /// end beyond 2^64, or a page size that is not within [4 KiB, 2^page_shift_max].
    static std::uint64_t page_count(const Layout& layout);
    static constexpr unsigned page_shift_min = 12;
    static constexpr unsigned page_shift_max = 31;

    /// @param pages  bus addresses; page_count(layout) of them, each a multiple of the page size
    MemoryRegion(const Layout& layout, std::vector<std::uint64_t> pages);

    const Layout& layout() const { return layout_; }
    /// True if [address, address + length) lies within the region. Holds for length 0 at the end.
    bool covers(std::uint64_t address, std::uint64_t length) const;
    bool allows(std::uint8_t access) const { return (layout_.access & access) == access; }
    /// Appends where the bytes are; the region covers them.
    void append_segments(std::uint64_t address, std::uint64_t length,
                         std::vector<DmaSegment>& segments) const;

    RouteBytes bytes_written; ///< by this adapter into the region
    RouteBytes bytes_read;

private:
    friend class MemoryRegionTable;
    nlohmann::json describe() const;

    Layout layout_;
    std::vector<std::uint64_t> pages_;
    std::uint32_t lkey_ = 0;
    std::uint32_t rkey_ = 0;
    bool live_ = true;
};

/// All regions of an adapter, by key, and the last ones that were deregistered.
///
/// A key names a slot and a generation: 16 bits of slot, and of the generation 8 bits in a local
/// key (descriptors carry 24-bit local keys) or 16 in a remote one. Slots are reused as late as
/// possible, so that a key comes again after millions of registrations only.
class MemoryRegionTable {
public:
    static constexpr std::uint32_t max_regions = 65536;
    static constexpr std::size_t history_limit = 256;

    struct Keys {
        std::uint32_t local;
        std::uint32_t remote;
    };

    /// Null if all slots are taken.
    std::shared_ptr<MemoryRegion> add(const MemoryRegion::Layout& layout,
                                      std::vector<std::uint64_t> pages);
    static Keys keys(const MemoryRegion& region) { return {region.lkey_, region.rkey_}; }
    /// The region that had that local key, or null.
    std::shared_ptr<MemoryRegion> remove(std::uint32_t lkey);
    void clear();

    /// The region of a key as found in a descriptor; null if there is none in that domain.
    std::shared_ptr<MemoryRegion> find_local(std::uint32_t lkey, std::uint16_t pd) const;
    std::shared_ptr<MemoryRegion> find_remote(std::uint32_t rkey, std::uint16_t pd) const;

    /// Live regions and then the history, as JSON objects.
    nlohmann::json describe() const;
    void reset_counters();

private:
    void retire(std::shared_ptr<MemoryRegion> region);

    IdPool slots_{max_regions};
    std::unordered_map<std::uint32_t, std::uint16_t> generations_; ///< by slot, once used
    std::unordered_map<std::uint32_t, std::shared_ptr<MemoryRegion>> regions_; ///< by slot
    std::deque<std::shared_ptr<MemoryRegion>> history_;                        ///< oldest first
};

} // namespace lab::efa
