// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/flight.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;
using std::chrono::microseconds;

namespace {

/// A flight of `count` frames, sent a microsecond apart from 0 on; round trips are 100 us.
struct Sent {
    explicit Sent(std::uint32_t count, std::uint32_t first = 0xfffff0) : flight(first)
    {
        round_trip.sample(microseconds(100), Time::zero());
        for (std::uint32_t i = 0; i < count; ++i) {
            REQUIRE(flight.reserve());
            flight.push({i, 0}, microseconds(i));
        }
    }
    std::uint32_t hold(std::initializer_list<unsigned> offsets, Time now)
    {
        wire::Sack sack;
        for (const auto offset : offsets)
            sack.set(offset - 1);
        (void)flight.hold(sack, round_trip, now);
        return flight.find_losses(round_trip, true, now);
    }
    Flight flight;
    RoundTrip round_trip;
};

} // namespace

TEST_CASE("Flight: PSNs wrap, cookies stay with their frames, memory goes when it is idle")
{
    Sent sent(100);
    CHECK(sent.flight.next() == wire::next_psn(0xfffff0, 100));
    for (std::uint32_t i = 0; i < 100; ++i)
        CHECK(sent.flight.cookie(wire::next_psn(0xfffff0, i)).request == i);
    const auto delivery = sent.flight.advance(100, sent.round_trip, microseconds(200));
    CHECK(delivery.frames == 100);
    CHECK(delivery.sample == microseconds(101));
    CHECK(sent.flight.count() == 0);
    sent.flight.release();
    CHECK(sent.flight.heap_bytes() == 0);
}

TEST_CASE("Flight: a frame that a few overtook may still come, one that many overtook is lost")
{
    Sent sent(20);
    CHECK(sent.hold({1, 2, 3}, microseconds(101)) == 0);
    CHECK(sent.flight.find_losses_at() > microseconds(101));
    CHECK(sent.flight.find_losses_at() <= microseconds(130));
    CHECK(sent.hold({1, 2, 3, 4}, microseconds(102)) == 1);
    CHECK(sent.flight.first_lost() == 0xfffff0);
    CHECK(sent.flight.in_network() == 15);
}

TEST_CASE("Flight: without more frames the time tells that one is lost")
{
    Sent sent(2);
    CHECK(sent.hold({1}, microseconds(101)) == 0);
    const auto when = sent.flight.find_losses_at();
    CHECK(sent.flight.find_losses(sent.round_trip, false, when - Time(1)) == 0);
    CHECK(sent.flight.find_losses(sent.round_trip, false, when) == 1);
}

TEST_CASE("Flight: a frame thought lost too early makes it more patient")
{
    Sent sent(40);
    CHECK(sent.hold({1, 2, 3, 4}, microseconds(101)) == 1);
    sent.flight.resend(0xfffff0, false, sent.round_trip, microseconds(101));
    // The first sending has come after all: the second cannot have, in 4 us.
    (void)sent.flight.advance(5, sent.round_trip, microseconds(105));
    CHECK(sent.flight.in_network() == 35);
    CHECK(sent.hold({1, 2, 3, 4}, microseconds(106)) == 0);
    CHECK(sent.hold({1, 2, 3, 4, 5, 6, 7}, microseconds(107)) == 1);
}

TEST_CASE("Flight: the first round trip of all is rather too long than too short")
{
    Flight flight(0);
    const RoundTrip unknown;
    REQUIRE(flight.reserve());
    const auto psn = flight.push({}, Time::zero());
    flight.resend(psn, true, unknown, microseconds(1000));
    const auto delivery = flight.advance(1, unknown, microseconds(1010));
    CHECK(delivery.sample == microseconds(1010));
    CHECK(delivery.since == microseconds(10));
    CHECK(delivery.is_bound);
}

TEST_CASE("Flight: a frame that a timer sent again gives a bound, and no sample that is too short")
{
    Sent sent(1);
    sent.flight.resend(0xfffff0, true, sent.round_trip, microseconds(500));
    sent.flight.resend(0xfffff0, true, sent.round_trip, microseconds(1500));
    const auto delivery = sent.flight.advance(1, sent.round_trip, microseconds(1510));
    CHECK(delivery.is_bound);
    CHECK(delivery.sample == microseconds(1510));
}

TEST_CASE("Flight: a frame that waited for one sent again gives no round trip")
{
    Sent sent(20);
    CHECK(sent.hold({4, 5, 6, 7, 8}, microseconds(110)) > 0);
    sent.flight.resend(0xfffff0, false, sent.round_trip, microseconds(310));
    // What the peer held of the others was not told; it has waited for the first.
    CHECK(sent.flight.advance(20, sent.round_trip, microseconds(410)).sample == Time::zero());
}

TEST_CASE("Flight: a lost retransmission is lost again when later frames arrive")
{
    Sent sent(12);
    CHECK(sent.hold({1, 2, 3, 4}, microseconds(101)) == 1);
    sent.flight.resend(0xfffff0, false, sent.round_trip, microseconds(101));
    for (std::uint32_t i = 12; i < 20; ++i) {
        REQUIRE(sent.flight.reserve());
        sent.flight.push({i, 0}, microseconds(102));
    }
    CHECK(sent.hold({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, microseconds(112)) == 0);
    CHECK(sent.hold({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, microseconds(203)) ==
          1);
}

TEST_CASE("Flight: a receiver that was not ready gets all again")
{
    Sent sent(10);
    (void)sent.hold({3}, microseconds(101));
    sent.flight.lose_from(wire::next_psn(0xfffff0, 1));
    CHECK(sent.flight.lost() == 9);
    CHECK(sent.flight.held() == 0);
    CHECK(sent.flight.first_lost() == wire::next_psn(0xfffff0, 1));
}

TEST_CASE("Flight: what may be of the first sending does not make the others late")
{
    Sent sent(40);
    RoundTrip uneven; // the least is far below what is usual
    uneven.sample(microseconds(10), Time::zero());
    for (int i = 0; i < 100; ++i)
        uneven.sample(microseconds(100), Time::zero());
    CHECK(sent.hold({1, 2, 3, 4}, microseconds(101)) == 1);
    sent.flight.resend(0xfffff0, false, uneven, microseconds(101));
    (void)sent.flight.advance(5, uneven, microseconds(120));
    CHECK(sent.flight.find_losses(uneven, true, microseconds(121)) == 0);
}

TEST_CASE("Flight: what a selective acknowledgement could not tell of gives no round trip")
{
    const auto late = microseconds(4'000'000);
    const auto in_sight = [] {
        wire::Sack sack;
        sack.set();
        return sack;
    }();
    Sent sent(700);
    CHECK(sent.flight.hold(in_sight, sent.round_trip, microseconds(800)).sample != Time::zero());
    // The first was missing for long; the others had arrived, those out of sight, too.
    SECTION("all at once")
    {
        CHECK(sent.flight.advance(700, sent.round_trip, late).sample == Time::zero());
    }
    SECTION("then some come into sight")
    {
        CHECK(sent.flight.advance(300, sent.round_trip, late).sample == Time::zero());
        CHECK(sent.flight.hold(in_sight, sent.round_trip, late).sample == Time::zero());
        CHECK(sent.flight.held() == wire::sack_bits);
    }
    SECTION("but what was sent since then does")
    {
        REQUIRE(sent.flight.reserve());
        sent.flight.push({}, late);
        CHECK(sent.flight.advance(701, sent.round_trip, late + microseconds(70)).sample ==
              microseconds(70));
    }
}
