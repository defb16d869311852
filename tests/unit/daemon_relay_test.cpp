// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/relay.hpp"

#include <catch2/catch_test_macros.hpp>

#include <vector>

using namespace p2prdma::daemon;
using namespace std::chrono_literals;

TEST_CASE("daemon: R6.8 a relay raises an event for each change of a counter")
{
    Relay relay;
    CHECK_FALSE(relay.due());
    std::uint64_t value = 5;
    std::vector<std::uint64_t> raised;
    const auto id =
        relay.add([&] { return value; }, [&](std::uint64_t now) { raised.push_back(now); });
    auto now = *relay.due();
    relay.serve(now);
    CHECK(raised.empty()); // it has not changed since it was added
    value = 7;
    relay.serve(now); // it is not due
    CHECK(raised.empty());
    now = *relay.due();
    relay.serve(now);
    CHECK(raised == std::vector<std::uint64_t>{7});
    CHECK(*relay.due() - now == 1ms);
    relay.remove(id);
    CHECK_FALSE(relay.due());
}

TEST_CASE("daemon: a relay looks more seldom at what does not count")
{
    Relay relay;
    std::uint64_t value = 0;
    relay.add([&] { return value; }, [](std::uint64_t) {});
    auto now = *relay.due() + 2s;
    relay.serve(now);
    CHECK(*relay.due() - now == 10ms);
    now = *relay.due();
    value = 1;
    relay.serve(now);
    CHECK(*relay.due() - now == 1ms);
}
