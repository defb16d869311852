// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/alarm_clock.hpp"

#include <catch2/catch_test_macros.hpp>
#include <poll.h>

using namespace p2prdma::l2;
using namespace std::chrono_literals;

namespace {

Time now()
{
    return std::chrono::steady_clock::now().time_since_epoch();
}

bool rings(const AlarmClock& clock, int milliseconds)
{
    pollfd fd = {clock.fd(), POLLIN, 0};
    return ::poll(&fd, 1, milliseconds) == 1;
}

} // namespace

TEST_CASE("AlarmClock: rings at the earliest time that it was set to, and is silent when set anew")
{
    AlarmClock clock;
    CHECK_FALSE(rings(clock, 0));
    const auto begin = now();
    clock.set(begin + 20ms, begin);
    clock.set(begin + 1h, begin); // it rings earlier anyhow
    CHECK(rings(clock, 10'000));
    CHECK(now() >= begin + 20ms);
    CHECK(rings(clock, 0)); // until it is set
    clock.set(begin + 1h, now());
    CHECK_FALSE(rings(clock, 0));
    clock.set(now() + 1ms, now()); // earlier than it was set to
    CHECK(rings(clock, 10'000));
    clock.set(begin, now()); // the past
    CHECK(rings(clock, 10'000));
}
