// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/request_ids.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>

using p2prdma::direct::RequestIds;

TEST_CASE("ids of requests are given back in any order, once", "[direct]")
{
    for (const std::uint32_t entries : {1u, 2u, 16u, 32768u}) {
        RequestIds ids(entries, 3);
        std::set<std::uint16_t> taken;
        for (std::uint32_t i = 0; i < entries; ++i)
            taken.insert(ids.take(1000 + i, 2));
        REQUIRE(taken.size() == entries);
        CHECK_FALSE(taken.contains(ids.shared()));
        CHECK(ids.give_back(ids.shared()).slots == 0);
        std::set<std::uint64_t> back;
        for (const auto device_id : taken) {
            const auto request = ids.give_back(device_id);
            REQUIRE(request.slots == 2);
            back.insert(request.id);
            REQUIRE(ids.give_back(device_id).slots == 0);
        }
        CHECK(back.size() == entries);
        CHECK(*back.begin() == 1000);
    }
}

TEST_CASE("an id of another generation is none", "[direct]")
{
    RequestIds before(16, 1);
    RequestIds after(16, 2);
    const auto old = before.take(7, 1);
    const auto now = after.take(8, 1);
    CHECK(old != now);
    CHECK(after.give_back(old).slots == 0);
    CHECK(after.give_back(now).id == 8);
}
