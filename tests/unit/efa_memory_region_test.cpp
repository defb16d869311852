// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/io_layout.hpp"
#include "tools/lab/efa/memory_region.hpp"

#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

using namespace lab;
using namespace lab::efa;

namespace {

constexpr std::uint64_t max64 = std::numeric_limits<std::uint64_t>::max();

MemoryRegion::Layout layout(std::uint64_t iova, std::uint64_t length, unsigned shift = 12)
{
    return {.pd = 1,
            .access = Access::all,
            .page_shift = static_cast<std::uint8_t>(shift),
            .iova = iova,
            .length = length};
}

std::vector<DmaSegment> segments(const MemoryRegion& region, std::uint64_t address,
                                 std::uint64_t length)
{
    std::vector<DmaSegment> list;
    region.append_segments(address, length, list);
    return list;
}

} // namespace

TEST_CASE("a region's page count follows from where it begins and ends", "[efa][region]")
{
    CHECK(MemoryRegion::page_count(layout(0x1000, 0x1000)) == 1);
    CHECK(MemoryRegion::page_count(layout(0x1fff, 2)) == 2);
    CHECK(MemoryRegion::page_count(layout(0x1800, 0x1000)) == 2);
    CHECK(MemoryRegion::page_count(layout(0x200000, 0x200001, 21)) == 2);
    CHECK(MemoryRegion::page_count(layout(max64, 1)) == 1);
}

TEST_CASE("impossible regions have no pages", "[efa][region]")
{
    CHECK(MemoryRegion::page_count(layout(0, 0)) == 0);
    CHECK(MemoryRegion::page_count(layout(max64, 2)) == 0);
    CHECK(MemoryRegion::page_count(layout(0x1000, max64)) == 0);
    CHECK(MemoryRegion::page_count(layout(0, 1, 11)) == 0);
    CHECK(MemoryRegion::page_count(layout(0, 1, 63)) == 0);
}

TEST_CASE("a region knows its bounds to the byte", "[efa][region]")
{
    MemoryRegion region(layout(0x1800, 0x1000), {0xa000, 0x5000});
    CHECK(region.covers(0x1800, 0x1000));
    CHECK(region.covers(0x27ff, 1));
    CHECK(region.covers(0x2800, 0));
    CHECK_FALSE(region.covers(0x17ff, 1));
    CHECK_FALSE(region.covers(0x1800, 0x1001));
    CHECK_FALSE(region.covers(0x2800, 1));
    CHECK_FALSE(region.covers(0x1801, max64));
    CHECK_FALSE(region.covers(max64, 2));
}

TEST_CASE("translation crosses pages, and joins those that lie together", "[efa][region]")
{
    MemoryRegion region(layout(0x1800, 0x2800), {0xa000, 0x5000, 0x6000});
    auto list = segments(region, 0x1900, 0x1700);
    REQUIRE(list.size() == 2);
    CHECK(list[0].address == 0xa900);
    CHECK(list[0].length == 0x700);
    CHECK(list[1].address == 0x5000);
    CHECK(list[1].length == 0x1000);

    list = segments(region, 0x2fff, 2);
    REQUIRE(list.size() == 1);
    CHECK(list[0].address == 0x5fff);
    CHECK(list[0].length == 2);
    CHECK(segments(region, 0x1800, 0).empty());
}

TEST_CASE("keys are unique, also over slots that are used again", "[efa][region]")
{
    MemoryRegionTable table;
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 3; ++i) {
        auto region = table.add(layout(0x1000, 1), {0});
        auto keys = MemoryRegionTable::keys(*region);
        CHECK(keys.local == (keys.remote & key24_mask));
        CHECK(seen.insert(keys.remote).second);
        CHECK(table.remove(keys.local) == region);
        CHECK(table.remove(keys.local) == nullptr);
    }
}

TEST_CASE("a key works in its own domain, while the region lives", "[efa][region]")
{
    MemoryRegionTable table;
    auto region = table.add(layout(0x1000, 1), {0});
    auto keys = MemoryRegionTable::keys(*region);
    CHECK(table.find_local(keys.local, 1) == region);
    CHECK(table.find_local(keys.local, 2) == nullptr);
    CHECK(table.find_remote(keys.remote, 1) == region);
    CHECK(table.find_remote(keys.remote, 2) == nullptr);
    CHECK(table.find_remote(keys.remote ^ 0x80000000, 1) == nullptr);
    CHECK(table.find_local(keys.local ^ 0x800000, 1) == nullptr);
    table.remove(keys.local);
    CHECK(table.find_local(keys.local, 1) == nullptr);
    CHECK(table.find_remote(keys.remote, 1) == nullptr);
}

TEST_CASE("the table tells of live regions and of the last that went", "[efa][region]")
{
    MemoryRegionTable table;
    auto live = table.add(layout(0x5000, 0x10), {0});
    live->bytes_written[Route::peer_switch] = 42;
    for (std::size_t i = 0; i < MemoryRegionTable::history_limit + 10; ++i)
        table.remove(MemoryRegionTable::keys(*table.add(layout(0x1000 + i, 1), {0})).local);
    auto list = table.describe();
    REQUIRE(list.size() == MemoryRegionTable::history_limit + 1);
    CHECK(list[0]["live"] == true);
    CHECK(list[0]["iova"] == 0x5000);
    CHECK(list[0]["bytes_written"]["peer_switch"] == 42);
    CHECK(list[0]["bytes_written"]["host_dram"] == 0);
    CHECK(list.back()["live"] == false);
    CHECK(list.back()["iova"] == 0x1000 + MemoryRegionTable::history_limit + 9);
    table.reset_counters();
    list = table.describe();
    REQUIRE(list.size() == 1);
    CHECK(list[0]["bytes_written"]["peer_switch"] == 0);
}
