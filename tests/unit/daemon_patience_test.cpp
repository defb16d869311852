// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/patience.hpp"

#include <catch2/catch_test_macros.hpp>

using p2prdma::daemon::Patience;
using namespace std::chrono_literals;

namespace {

const Patience::Clock::time_point start{1h};

/// How long is looked for a request after one was served.
Patience::Duration time_of(const Patience& patience, Patience::Clock::time_point served)
{
    auto end = served;
    while (patience.looking(end))
        end += 10us;
    return end - served;
}

} // namespace

TEST_CASE("Patience: looks for as long as requests are worth it")
{
    Patience patience;
    CHECK_FALSE(patience.looking(start));
    patience.served(start);
    CHECK(time_of(patience, start) == 1ms);
    patience.served(start + 100us);
    CHECK(time_of(patience, start + 100us) == 400us);
    patience.served(start + 101us);
    CHECK(time_of(patience, start + 101us) == 50us);
}

TEST_CASE("Patience: gives up where requests come only when nobody looks, but tries again")
{
    Patience patience;
    auto now = start;
    patience.served(now);
    for (int i = 0; i < 6; i++) { // 1 ms, 500 us, ... 62.5 us
        now += 1500us;
        patience.served(now);
    }
    CHECK(time_of(patience, now) == 0us);
    unsigned tried = 0;
    for (unsigned i = 0; i < 2 * Patience::probe_requests; i++) {
        now += 1500us;
        patience.served(now);
        tried += patience.looking(now);
    }
    CHECK(tried == 2);
}

TEST_CASE("Patience: a request after a long time says nothing")
{
    Patience patience;
    patience.served(start);
    patience.served(start + 1s);
    CHECK(time_of(patience, start + 1s) == 1ms);
}
