// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/connection_states.hpp"
#include "lib/l2/handshake.hpp"

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>

using namespace p2prdma::l2;
using namespace std::chrono_literals;

namespace {

template <class Enum, class Visitor>
void for_each(Visitor&& visit)
{
    for (unsigned i = 0; i < static_cast<unsigned>(Enum::count); ++i)
        visit(static_cast<Enum>(i));
}

/// A handshake that was led into a state, if it can be.
bool lead(Handshake& handshake, ConnectionState to)
{
    std::set<ConnectionState> seen = {handshake.state()};
    // Breadth first over the table, with copies.
    std::vector<Handshake> edge = {handshake};
    while (!edge.empty()) {
        std::vector<Handshake> next;
        for (const auto& one : edge) {
            if (one.state() == to) {
                handshake = one;
                return true;
            }
            for_each<ConnectionEvent>([&](ConnectionEvent event) {
                auto copy = one;
                (void)copy.happens(event, 1s);
                if (seen.insert(copy.state()).second)
                    next.push_back(copy);
            });
        }
        edge = std::move(next);
    }
    return false;
}

} // namespace

TEST_CASE("Handshake: does what the table says, transition by transition, and nothing else")
{
    for_each<ConnectionState>([](ConnectionState from) {
        Handshake handshake({}, {}, {});
        REQUIRE(lead(handshake, from));
        for_each<ConnectionEvent>([&](ConnectionEvent event) {
            INFO(to_string(from) << " on " << to_string(event));
            auto copy = handshake;
            const auto step = connection_step(from, event);
            CHECK(copy.happens(event, 2s) == step.action);
            CHECK(copy.state() == step.to);
            if (!step.known)
                CHECK((step.to == from && step.action == ConnectionAction::none));
        });
    });
}

TEST_CASE("Handshake: no pair of state and event is in the table twice, and all have names")
{
    std::set<std::pair<ConnectionState, ConnectionEvent>> pairs;
    for (const auto& one : connection_transitions)
        CHECK(pairs.emplace(one.from, one.event).second);
    for_each<ConnectionState>([](auto one) { CHECK(std::string(to_string(one)) != ""); });
    for_each<ConnectionEvent>([](auto one) { CHECK(std::string(to_string(one)) != ""); });
    for_each<ConnectionAction>([](auto one) { CHECK(std::string(to_string(one)) != ""); });
}

TEST_CASE("Handshake: what is repeated is repeated ever more slowly, and given up")
{
    Handshake handshake({}, {}, {});
    CHECK(handshake.happens(ConnectionEvent::connect, 1s) == ConnectionAction::send_request);
    Time now = 1s, before = {};
    unsigned times = 0;
    for (; handshake.state() == ConnectionState::request_sent; ++times) {
        REQUIRE(times < 100);
        const auto interval = handshake.due() - now;
        CHECK(interval >= before);
        before = interval;
        now = handshake.due();
        const auto action = handshake.repeat(now);
        if (handshake.state() == ConnectionState::request_sent)
            CHECK(action == ConnectionAction::send_request);
    }
    CHECK(handshake.state() == ConnectionState::failed);
    CHECK(now > 3s);
    CHECK(now < 10s);
    CHECK(handshake.due() == Time::max());
}
