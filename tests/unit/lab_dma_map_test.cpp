// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/dma_map.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>

using lab::DmaMap;

namespace {

std::array<std::byte, 0x10000> backing;

DmaMap::Range range(std::uint64_t address, std::uint64_t last, std::size_t offset = 0)
{
    DmaMap::Range r;
    r.address = address;
    r.last = last;
    r.memory = backing.data() + offset;
    r.writable = true;
    return r;
}

std::ptrdiff_t offset_of(const DmaMap& map, std::uint64_t address)
{
    const auto* found = map.find(address);
    return found ? found->memory - backing.data() +
                       static_cast<std::ptrdiff_t>(address - found->address)
                 : -1;
}

} // namespace

TEST_CASE("an address is found in its range only", "[lab][dma_map]")
{
    DmaMap map;
    map.add(range(0x1000, 0x1fff));
    map.add(range(0x3000, 0x3fff, 0x1000));
    CHECK(map.find(0xfff) == nullptr);
    CHECK(offset_of(map, 0x1000) == 0);
    CHECK(offset_of(map, 0x1fff) == 0xfff);
    CHECK(map.find(0x2000) == nullptr);
    CHECK(offset_of(map, 0x3001) == 0x1001);
    CHECK(map.find(0x4000) == nullptr);
    CHECK(map.next(0) == 0x1000);
    CHECK(map.next(0x1000) == 0x3000);
    CHECK(map.next(0x3000) == DmaMap::max_address);
}

TEST_CASE("unmapping the middle of a range keeps both ends", "[lab][dma_map]")
{
    DmaMap map;
    map.add(range(0x1000, 0x5fff));
    REQUIRE(map.find(0x3000) != nullptr); // and is remembered
    map.remove(0x2000, 0x3fff);
    CHECK(map.size() == 2);
    CHECK(offset_of(map, 0x1fff) == 0xfff);
    CHECK(map.find(0x2000) == nullptr);
    CHECK(map.find(0x3fff) == nullptr);
    CHECK(offset_of(map, 0x4000) == 0x3000);
    CHECK(offset_of(map, 0x5fff) == 0x4fff);
}

TEST_CASE("one unmap covers many ranges, or none", "[lab][dma_map]")
{
    DmaMap map;
    for (std::uint64_t i = 0; i < 10; ++i)
        map.add(range(i * 0x2000, i * 0x2000 + 0xfff));
    map.remove(0x1000, 0x1fff);
    CHECK(map.size() == 10);
    map.remove(0x1800, 0x8fff);
    CHECK(map.size() == 6);
    CHECK(map.find(0x0) != nullptr);
    CHECK(map.find(0x2000) == nullptr);
    CHECK(map.find(0x8000) == nullptr);
    CHECK(map.find(0xa000) != nullptr);
    map.remove(0, DmaMap::max_address);
    CHECK(map.size() == 0);
}

TEST_CASE("a range may end at 2^64", "[lab][dma_map]")
{
    DmaMap map;
    map.add(range(0xfffffffffffff000, DmaMap::max_address));
    CHECK(offset_of(map, DmaMap::max_address) == 0xfff);
    map.add(range(0x1000, 0x1fff));
    map.remove(0xfef00000, DmaMap::max_address);
    CHECK(map.size() == 1);
    CHECK(map.find(DmaMap::max_address) == nullptr);
}

TEST_CASE("a new range replaces what it overlaps", "[lab][dma_map]")
{
    DmaMap map;
    map.add(range(0x1000, 0x2fff));
    map.add(range(0x2000, 0x3fff, 0x8000));
    CHECK(offset_of(map, 0x1fff) == 0xfff);
    CHECK(offset_of(map, 0x2000) == 0x8000);
    CHECK(offset_of(map, 0x3fff) == 0x9fff);
}
