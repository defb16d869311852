// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/relay.hpp"

#include <catch2/catch_test_macros.hpp>

#include <vector>

using namespace p2prdma::daemon;
using namespace std::chrono_literals;

namespace {

using Raised = std::vector<std::optional<std::uint64_t>>;

struct Rig {
    Relay::Id add(Relay::Misses misses = Relay::Misses::nothing)
    {
        return relay.add([this] { return count; },
                         [this](std::optional<std::uint64_t> value) { raised.push_back(value); },
                         misses);
    }

    Relay relay;
    Count count;
    Raised raised;
};

} // namespace

TEST_CASE("daemon: R6.8 a relay raises an event for each change of a counter")
{
    Rig rig;
    CHECK_FALSE(rig.relay.due());
    rig.count.completions = 5;
    const auto id = rig.add();
    auto now = *rig.relay.due();
    rig.relay.serve(now);
    CHECK(rig.raised.empty()); // it has not changed since it was added
    rig.count.completions = 7;
    rig.relay.serve(now); // it is not due
    CHECK(rig.raised.empty());
    now = *rig.relay.due();
    rig.relay.serve(now);
    CHECK(rig.raised == Raised{7});
    CHECK(*rig.relay.due() - now == 1ms);
    rig.relay.remove(id);
    CHECK_FALSE(rig.relay.due());
}

TEST_CASE("daemon: a relayed failure raises the event, and is no completion")
{
    Rig rig;
    rig.add();
    rig.count.completions = 1;
    rig.relay.serve(*rig.relay.due());
    rig.count.others = 1;
    rig.relay.serve(*rig.relay.due());
    CHECK(rig.raised == Raised{1, std::nullopt});
    rig.count = {2, 2};
    rig.relay.serve(*rig.relay.due());
    CHECK(rig.raised == Raised{1, std::nullopt, 2});
}

TEST_CASE("daemon: a relay looks more seldom at what does not count")
{
    Rig rig;
    rig.add();
    auto now = *rig.relay.due() + 2s;
    rig.relay.serve(now);
    CHECK(*rig.relay.due() - now == 10ms);
    now = *rig.relay.due();
    rig.count.completions = 1;
    rig.relay.serve(now);
    CHECK(*rig.relay.due() - now == 1ms);
    CHECK(rig.raised.size() == 1);
}

TEST_CASE("daemon: R6.3 what a relay may have overlooked delays a waiter, for a while")
{
    Rig rig;
    rig.add(Relay::Misses::something);
    const auto start = *rig.relay.due();
    for (auto now = start; now < start + 99ms; now = *rig.relay.due())
        rig.relay.serve(now);
    CHECK(rig.raised.empty());
    rig.relay.serve(start + 110ms);
    CHECK(rig.raised == Raised{std::nullopt});
    rig.count.completions = 1; // a raise with a cause puts the next one without off
    rig.relay.serve(start + 205ms);
    rig.relay.serve(start + 220ms);
    CHECK(rig.raised == Raised{std::nullopt, 1});
    // and it is looked at as seldom as others that do not count
    rig.relay.serve(start + 2s);
    CHECK(*rig.relay.due() - (start + 2s) == 10ms);
}
