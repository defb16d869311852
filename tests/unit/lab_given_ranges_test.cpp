// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/given_ranges.hpp"

#include <bitset>
#include <catch2/catch_test_macros.hpp>
#include <random>

using lab::GivenRanges;

TEST_CASE("all is given until somebody says what is", "[lab]")
{
    GivenRanges given;
    CHECK(given.covers(0, ~0ULL));
    given.take_back(0x1000, 0x1000);
    CHECK_FALSE(given.covers(0, 1));
    CHECK(given.covers(7, 0));
}

TEST_CASE("ranges end at the end of all", "[lab]")
{
    GivenRanges given;
    given.give(~0ULL - 16, 4096);
    CHECK(given.covers(~0ULL - 16, 4096));
    CHECK_FALSE(given.covers(~0ULL - 17, 2));
    given.take_back(0, ~0ULL);
    CHECK_FALSE(given.covers(~0ULL - 16, 1));
}

TEST_CASE("given ranges are what a bit for each byte would say", "[lab]")
{
    constexpr unsigned size = 64;
    std::mt19937 engine(5);
    auto random = [&] { return static_cast<unsigned>(engine()); };
    std::bitset<size> bits;
    GivenRanges given;
    given.take_back(0, 0);
    for (int i = 0; i < 20000; ++i) {
        unsigned from = random() % size;
        unsigned length = random() % (size - from + 1);
        bool give = random() % 2 == 0;
        give ? given.give(from, length) : given.take_back(from, length);
        bool all = true;
        for (unsigned at = from; at < from + length; ++at)
            bits[at] = give;
        unsigned start = random() % size;
        unsigned count = random() % (size - start + 1);
        for (unsigned at = start; at < start + count; ++at)
            all = all && bits[at];
        REQUIRE(given.covers(start, count) == all);
    }
}
