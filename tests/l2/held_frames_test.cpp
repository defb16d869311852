// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/held_frames.hpp"
#include "lib/l2/receive_window.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <random>
#include <vector>

using namespace p2prdma::l2;

namespace {

std::vector<std::byte> filled(std::size_t size, unsigned with)
{
    return std::vector<std::byte>(size, static_cast<std::byte>(with));
}

} // namespace

TEST_CASE("HeldFrames: what was held comes out as it was, and all memory is given back")
{
    BufferBudget budget(1 << 20);
    HeldFrames held(1 << 20, budget);
    const std::uint32_t next = 0xfffffe; // so that it wraps
    for (std::uint32_t ahead : {300U, 1U, 2U, 17U})
        REQUIRE(held.hold(next, ahead, filled(100 + ahead, ahead)));
    REQUIRE(held.holds(next, 17));
    CHECK_FALSE(held.holds(next, 0));
    CHECK_FALSE(held.holds(next, 3));
    CHECK_FALSE(held.holds(next, 100'000));
    const auto frame = held.frame(next + 17);
    CHECK(std::ranges::equal(frame, filled(117, 17)));
    const auto sack = held.sack(next);
    REQUIRE(sack);
    CHECK(sack->count() == 3); // the fourth is out of its reach
    CHECK((sack->test(0) && sack->test(1) && sack->test(16)));
    CHECK(budget.used() == held.bytes());
    held.clear();
    CHECK(held.bytes() == 0);
    CHECK(budget.used() == 0);
}

TEST_CASE("R7.4: frames ahead never take the room of the next, and no limit is exceeded")
{
    BufferBudget budget(10'000);
    HeldFrames held(4000, budget);
    std::uint32_t taken = 0;
    while (held.hold(5, 1 + taken, filled(500, 1)))
        ++taken;
    CHECK(taken >= 4);
    CHECK(held.hold(5, 0, filled(500, 2)));
    CHECK(held.bytes() <= 4000);
    CHECK_FALSE(held.hold(5, 1'000'000, filled(1, 1)));
    CHECK(held.is_filling());
}

TEST_CASE("R7.4: nor does what keeps the order of frames ahead")
{
    for (std::size_t limit = 4000; limit < 100'000; limit += 97) {
        BufferBudget budget(1 << 20);
        HeldFrames held(limit, budget);
        for (std::uint32_t ahead = 1; held.hold(5, ahead, filled(100, 1)); ++ahead)
            ;
        INFO("limit " << limit);
        REQUIRE(held.hold(5, 0, filled(100, 2)));
        REQUIRE(held.bytes() <= limit);
    }
}

TEST_CASE("HeldFrames: a store that had no room for the first frame keeps nothing")
{
    BufferBudget budget(400);
    HeldFrames held(1 << 20, budget);
    CHECK_FALSE(held.hold(0, 3, filled(500, 1)));
    CHECK(budget.used() == 0);
}

TEST_CASE("R7.4: 10000 windows that fault keep within G together, and each within B")
{
    constexpr std::size_t all = 4 << 20;
    BufferBudget budget(all);
    ReceiveWindow::Config config;
    config.buffer_limit = 64 * 1024;
    std::vector<std::unique_ptr<ReceiveWindow>> windows;
    std::mt19937 random(1);
    const auto frame = filled(1514, 3);
    for (int i = 0; i < 10'000; ++i) {
        auto& window = *windows.emplace_back(std::make_unique<ReceiveWindow>(config, budget));
        REQUIRE(window.arrived({.psn = 0}, frame, Time::zero()) == ReceiveWindow::Arrival::process);
        (void)window.stall(frame, 1000, Time::zero());
    }
    for (int i = 0; i < 100'000; ++i) {
        auto& window = *windows[random() % windows.size()];
        (void)window.arrived({.psn = 1 + static_cast<std::uint32_t>(random() % 100)}, frame,
                             Time::zero());
        REQUIRE(budget.used() <= all);
        REQUIRE(window.buffered() <= config.buffer_limit);
    }
    windows.clear();
    CHECK(budget.used() == 0);
}
