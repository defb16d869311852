// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/peer_fault.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using Action = PeerFault::Action;
using State = PeerFault::State;

namespace {

PeerFault fault()
{
    return {milliseconds(1), milliseconds(100), 2};
}

wire::Fault delay(std::uint8_t epoch, std::uint32_t psn, std::uint32_t estimate = 2000)
{
    return {.epoch = epoch, .psn = psn, .estimate = estimate, .window = 5000};
}

} // namespace

TEST_CASE("PeerFault: delay, resume; what is late of it changes nothing")
{
    auto peer = fault();
    bool is_news = false;
    CHECK(peer.delayed(delay(1, 7), 2000, Time::zero()) == Action::freeze);
    CHECK(peer.is_waiting());
    CHECK(peer.timer_at() == milliseconds(4));
    CHECK(peer.credit() == 3000);
    CHECK(peer.delayed(delay(1, 7), 6000, milliseconds(1)) == Action::extend);
    CHECK(peer.credit() == 0);
    CHECK(peer.resumed(delay(1, 7), true, is_news) == Action::thaw);
    CHECK(is_news);
    CHECK(peer.delayed(delay(1, 7), 0, milliseconds(2)) == Action::none);
    CHECK(peer.resumed(delay(1, 7), true, is_news) == Action::none);
    CHECK_FALSE(is_news);
    CHECK_FALSE(peer.is_waiting());
    CHECK(peer.delayed(delay(2, 7), 0, milliseconds(3)) == Action::freeze); // the page went again
}

TEST_CASE("PeerFault: a resume whose delay was lost makes the late delay void")
{
    auto peer = fault();
    bool is_news = false;
    CHECK(peer.resumed(delay(1, 7), true, is_news) == Action::none);
    CHECK(is_news);
    CHECK(peer.delayed(delay(1, 7), 0, milliseconds(1)) == Action::none);
    CHECK_FALSE(peer.is_waiting());
    CHECK(peer.delayed(delay(2, 7), 0, milliseconds(2)) == Action::freeze); // the page went again
}

TEST_CASE("PeerFault: what is resumed long after it was acknowledged hinders no later fault")
{
    auto peer = fault();
    bool is_news = false;
    CHECK(peer.resumed(delay(1, 7), false, is_news) == Action::none);
    CHECK(peer.delayed(delay(1, 7), 0, milliseconds(1)) == Action::freeze); // PSNs have wrapped
}

TEST_CASE("PeerFault: an acknowledgement beyond the frame ends it; PSNs may wrap after")
{
    auto peer = fault();
    CHECK(peer.delayed(delay(1, 7), 0, Time::zero()) == Action::freeze);
    CHECK(peer.acknowledged(7) == Action::none);
    CHECK(peer.acknowledged(8) == Action::thaw);
    CHECK(peer.delayed(delay(2, 0x800010), 0, Time::zero()) == Action::freeze);
}

TEST_CASE("PeerFault: probes, farther and farther apart, then it is not believed in any more")
{
    auto peer = fault();
    CHECK(peer.delayed(delay(1, 7, 10'000'000), 0, Time::zero()) == Action::freeze);
    CHECK(peer.timer_at() == milliseconds(100)); // whatever the peer says
    CHECK(peer.timer() == Action::probe);
    peer.probed(milliseconds(2), milliseconds(100));
    CHECK(peer.timer_at() == milliseconds(102));
    CHECK(peer.timer() == Action::probe);
    peer.probed(milliseconds(2), milliseconds(102));
    CHECK(peer.timer_at() == milliseconds(106));
    CHECK(peer.state() == State::probing);
    CHECK(peer.timer() == Action::expire);
    CHECK(peer.state() == State::sending);
    CHECK(peer.delayed(delay(1, 7), 0, milliseconds(107)) == Action::freeze); // it lives after all
    CHECK(peer.aborted() == Action::fail);
    CHECK(peer.state() == State::failed);
}
