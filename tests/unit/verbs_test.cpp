// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "p2prdma/memory_region.hpp"
#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/endpoint.hpp"

#include <type_traits>

#include <catch2/catch_all.hpp>

using namespace p2prdma;
using namespace p2prdma::tool;
using Catch::Matchers::ContainsSubstring;

// What needs an adapter is tested in the lab's machines: tests/guest, tests/scenarios/transfer_*.

TEST_CASE("memory region: has one owner")
{
    STATIC_CHECK_FALSE(std::is_copy_constructible_v<MemoryRegion>);
    STATIC_CHECK(std::is_nothrow_move_constructible_v<MemoryRegion>);
    STATIC_CHECK(std::is_nothrow_move_assignable_v<MemoryRegion>);
}

TEST_CASE("adapter: one that is not there is named")
{
    try {
        static_cast<void>(Adapter::open("no_such_0"));
        FAIL("opened");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::no_such_adapter);
        CHECK_THAT(error.what(), ContainsSubstring("no_such_0"));
    }
}

TEST_CASE("endpoint: random numbers differ")
{
    CHECK(random_number() != random_number());
}
