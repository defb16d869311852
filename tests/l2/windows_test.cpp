// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/window_pair.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;
using namespace p2prdma::l2::test;

namespace {

/// A setup of which everything that may matter depends on the seed.
Setup random_setup(std::uint64_t seed)
{
    std::mt19937_64 random(seed);
    const auto pick = [&](std::initializer_list<double> of) {
        return of.begin()[random() % of.size()];
    };
    const auto frame_time = Time(static_cast<Time::rep>(pick({0, 100, 1200, 8000})));
    Setup setup;
    setup.seed = seed;
    setup.frames = static_cast<std::uint32_t>(pick({1, 2, 7, 40, 150, 400}));
    setup.batch = static_cast<std::uint32_t>(pick({1, 3, 64}));
    setup.every = Time(static_cast<Time::rep>(pick({0, 0, 20'000, 300'000})));
    for (auto* line : {&setup.forth, &setup.back}) {
        line->delay = microseconds(static_cast<Time::rep>(pick({1, 20, 200})));
        line->jitter = line->delay * static_cast<Time::rep>(pick({0, 0, 1, 3}));
        line->frame_time = frame_time;
        line->loss = pick({0, 0.001, 0.01, 0.05, 0.1});
        line->duplication = pick({0, 0.01});
        line->overtaken_by = static_cast<std::uint32_t>(pick({0, 8, 64}));
    }
    setup.faults.probability = pick({0, 0, 0.01, 0.1});
    setup.faults.estimate_error = pick({0.1, 1, 10});
    setup.not_ready = pick({0, 0, 0, 0.02});
    setup.send.first_psn = pick({0, 1}) != 0 ? 0xffffff - static_cast<std::uint32_t>(random() % 64)
                                             : static_cast<std::uint32_t>(random() & 0xffffff);
    setup.send.retries = 30;
    setup.send.frames = static_cast<std::uint32_t>(pick({1, 16, 1024}));
    setup.receive.first_psn = setup.send.first_psn;
    setup.receive.buffer_limit = static_cast<std::uint32_t>(pick({0, 2000, 20'000, 262'144}));
    setup.budget = static_cast<std::size_t>(pick({1000, 1 << 20}));
    return setup;
}

void check_pair(std::uint64_t seed)
{
    const auto setup = random_setup(seed);
    WindowPair pair(setup);
    pair.run();
    INFO("seed " << seed << ", " << pair.processed() << " of " << setup.frames << " after "
                 << pair.now().count() << " ns, failure "
                 << static_cast<int>(pair.sender.failure()));
    REQUIRE(pair.complete());
    REQUIRE(pair.in_order());
    REQUIRE(pair.processed() == setup.frames);
    REQUIRE(pair.most_buffered() <= setup.receive.buffer_limit);
    REQUIRE(pair.budget.used() == 0);
}

} // namespace

TEST_CASE("R7.3: exactly once, in order, without deadlock, whatever is lost: 3000 seeds")
{
    for (std::uint64_t seed = 1; seed <= 3000; ++seed)
        check_pair(seed);
}

TEST_CASE("R7.3: exactly once, in order, without deadlock: 1000000 seeds", "[.long]")
{
    for (std::uint64_t seed = 1; seed <= 1'000'000; ++seed)
        check_pair(seed);
}
