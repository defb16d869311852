// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/memory_table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>

using namespace p2prdma::l2;

namespace {

RegisteredRange range(std::uint64_t start, std::uint64_t length, Access access = Access::all)
{
    RegisteredRange range;
    range.start = start;
    range.length = length;
    range.domain = 1;
    range.access = access;
    return range;
}

} // namespace

TEST_CASE("MemoryTable: a key names its range until it is removed, whatever else comes and goes")
{
    std::mt19937_64 random(1);
    // Few different keys, so that many want the same place of the table.
    MemoryTable table([&] { return random() % 4096; });
    std::map<std::uint32_t, std::uint64_t> known;
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        if (known.size() < 1000 && random() % 2) {
            const auto key = table.add(range(i, 1));
            REQUIRE(key != 0);
            REQUIRE(known.emplace(key, i).second);
        } else if (!known.empty()) {
            auto victim = known.lower_bound(static_cast<std::uint32_t>(random() % 4096));
            victim = victim == known.end() ? known.begin() : victim;
            table.remove(victim->first);
            REQUIRE(table.find(victim->first) == nullptr);
            known.erase(victim);
        }
        REQUIRE(table.size() == known.size());
    }
    for (const auto& [key, start] : known)
        REQUIRE(table.find(key)->start == start);
    CHECK(table.find(0) == nullptr);
}

TEST_CASE("R3.8: MemoryTable: ranges are checked without overflow")
{
    std::mt19937_64 random(1);
    MemoryTable table([&] { return random(); });
    const auto key = table.add(range(1000, 100));
    const AccessScope scope{1, Access::remote_write, nullptr};
    CHECK(table.check(key, 1000, 100, scope) != nullptr);
    CHECK(table.check(key, 1099, 1, scope) != nullptr);
    CHECK(table.check(key, 1100, 0, scope) != nullptr);
    CHECK(table.check(key, 1000, 101, scope) == nullptr);
    CHECK(table.check(key, 999, 1, scope) == nullptr);
    CHECK(table.check(key, 1100, 1, scope) == nullptr);
    CHECK(table.check(key, UINT64_MAX, 1101, scope) == nullptr);
    CHECK(table.check(key, 1050, UINT64_MAX, scope) == nullptr);
    const auto all = table.add(range(0, UINT64_MAX));
    CHECK(table.check(all, UINT64_MAX - 10, 10, scope) != nullptr);
    CHECK(table.check(all, UINT64_MAX - 10, 11, scope) == nullptr);
}

TEST_CASE("R3.7: MemoryTable: keys are random, and count for whom they were given")
{
    std::mt19937_64 random(1);
    MemoryTable table([&] { return random(); });
    const MacAddress friendly{{2, 0, 0, 0, 0, 1}}, other{{2, 0, 0, 0, 0, 2}};
    const auto key = table.add(range(0, 10, Access::remote_read));
    CHECK(table.check(key, 0, 1, {1, Access::remote_read, &other}) != nullptr);
    CHECK(table.check(key, 0, 1, {1, Access::remote_write, &other}) == nullptr);
    CHECK(table.check(key, 0, 1, {2, Access::remote_read, &other}) == nullptr);
    table.restrict_to(key, friendly);
    CHECK(table.check(key, 0, 1, {1, Access::remote_read, &other}) == nullptr);
    CHECK(table.check(key, 0, 1, {1, Access::remote_read, &friendly}) != nullptr);
    CHECK(table.check(key, 0, 1, {1, Access::local_read, nullptr}) != nullptr);
}
