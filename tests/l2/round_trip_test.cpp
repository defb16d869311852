// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/round_trip.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;
using std::chrono::microseconds;
using std::chrono::seconds;

TEST_CASE("RoundTrip: follows samples, and waits longer where they vary")
{
    RoundTrip steady;
    CHECK_FALSE(steady.known());
    RoundTrip shaky;
    for (int i = 0; i < 100; ++i) {
        steady.sample(microseconds(100), microseconds(i));
        shaky.sample(microseconds(i % 2 == 0 ? 50 : 150), microseconds(i));
    }
    CHECK(steady.known());
    CHECK(steady.smoothed() == microseconds(100));
    CHECK(steady.timeout() < microseconds(110));
    CHECK(steady.tail_timeout() == microseconds(200));
    CHECK(shaky.timeout() > microseconds(250));
    CHECK(shaky.least() == microseconds(50));
}

TEST_CASE("RoundTrip: the least is forgotten after ten seconds, not before five")
{
    RoundTrip round_trip;
    round_trip.sample(microseconds(10), seconds(0));
    for (int i = 1; i <= 16; ++i) {
        round_trip.sample(microseconds(80), seconds(i));
        if (i <= 5)
            CHECK(round_trip.least() == microseconds(10));
    }
    CHECK(round_trip.least() == microseconds(80));
}

TEST_CASE("RoundTrip: the least of before a long silence is none of now")
{
    RoundTrip round_trip;
    round_trip.sample(microseconds(30), seconds(1));
    round_trip.sample(microseconds(300), seconds(3600));
    CHECK(round_trip.least() == microseconds(300));
}

TEST_CASE("RoundTrip: a sample of zero counts as known")
{
    RoundTrip round_trip;
    round_trip.sample(Time::zero(), Time::zero());
    CHECK(round_trip.known());
}

TEST_CASE("RoundTrip: until there is a sample, a frame sent twice tells what to go by")
{
    RoundTrip round_trip;
    const auto bound = [&](Time since, Time at_most) {
        round_trip.bound(since, at_most, microseconds(1000), seconds(1));
    };
    bound(microseconds(40), microseconds(50'000));
    CHECK(round_trip.smoothed() == microseconds(50'000));
    bound(microseconds(40), microseconds(100'000));
    CHECK(round_trip.smoothed() == microseconds(25'000)); // rather not so long
    bound(microseconds(30'000), microseconds(100'000));
    CHECK(round_trip.smoothed() == microseconds(30'000)); // but not less than it was for certain
    bound(microseconds(40), microseconds(500));
    CHECK(round_trip.smoothed() == microseconds(500)); // nor more
    round_trip.sample(microseconds(60), seconds(1));
    CHECK(round_trip.smoothed() == microseconds(60));
    CHECK(round_trip.least() == microseconds(60));
    bound(microseconds(40), microseconds(50'000));
    CHECK(round_trip.smoothed() == microseconds(60 + 1000 / 8));
}
