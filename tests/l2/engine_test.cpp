// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/engine_rig.hpp"

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

TEST_CASE("Engine: connects, sends, writes, reads, and updates atomically")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    Pair pair(world, left, right);
    auto source = pattern(100'000);
    std::vector<std::byte> target(100'000), back(100'000);
    const auto source_key = pair.a.add_region(source);
    const auto back_key = pair.a.add_region(back);
    const auto target_key = pair.b.add_region(target);

    const auto place = segment(target, target_key);
    REQUIRE(pair.b.receive(9, std::span(&place, 1)) == std::errc());
    const auto from = segment(source, source_key);
    REQUIRE(
        pair.a.post(
            {.id = 1, .segments = std::span(&from, 1), .immediate = 77, .has_immediate = true}) ==
        std::errc());
    REQUIRE(pair.run(1, 1));
    CHECK(pair.a.completions[0].status == Status::success);
    CHECK(pair.b.completions[0].status == Status::success);
    CHECK(pair.b.completions[0].length == 100'000);
    CHECK(pair.b.completions[0].immediate == 77);
    CHECK(target == source);

    std::fill(target.begin(), target.end(), std::byte());
    REQUIRE(pair.a.post({.id = 2,
                         .operation = Operation::write,
                         .segments = std::span(&from, 1),
                         .remote = remote(target, target_key)}) == std::errc());
    const auto into = segment(back, back_key);
    REQUIRE(pair.a.post({.id = 3,
                         .operation = Operation::read,
                         .segments = std::span(&into, 1),
                         .remote = remote(target, target_key)}) == std::errc());
    REQUIRE(pair.run(3, 1));
    CHECK(pair.a.completions[1].status == Status::success);
    CHECK(pair.a.completions[2].status == Status::success);
    CHECK(pair.a.completions[2].length == 100'000);
    CHECK(target == source);
    CHECK(back == source);

    alignas(8) std::array<std::byte, 16> words = {};
    const auto words_key = pair.b.add_region(words);
    const auto old = segment(std::span(back).first(8), back_key);
    const std::uint64_t first = 5;
    std::memcpy(words.data(), &first, sizeof first);
    REQUIRE(pair.a.post({.id = 4,
                         .operation = Operation::fetch_add,
                         .segments = std::span(&old, 1),
                         .remote = remote(words, words_key),
                         .operand = 3}) == std::errc());
    REQUIRE(pair.run(4, 1));
    std::uint64_t value = 0;
    std::memcpy(&value, back.data(), sizeof value);
    CHECK(value == 5);
    REQUIRE(pair.a.post({.id = 5,
                         .operation = Operation::compare_swap,
                         .segments = std::span(&old, 1),
                         .remote = remote(words, words_key),
                         .operand = 100,
                         .compare = 8}) == std::errc());
    REQUIRE(pair.run(5, 1));
    std::memcpy(&value, back.data(), sizeof value);
    CHECK(value == 8);
    std::memcpy(&value, words.data(), sizeof value);
    CHECK(value == 100);
}

TEST_CASE("Engine: an answer that follows at once carries the acknowledgement")
{
    auto joined = std::make_unique<Joined>();
    auto& [world, left, right, pair] = *joined;
    auto memory = pattern(64);
    const auto here = segment(memory, pair.a.add_region(memory));
    const auto there = segment(memory, pair.b.add_region(memory));
    constexpr std::uint64_t rounds = 100;
    for (std::uint64_t i = 0; i <= rounds; ++i) {
        REQUIRE(pair.a.receive(i, std::span(&here, 1)) == std::errc());
        REQUIRE(pair.b.receive(i, std::span(&there, 1)) == std::errc());
    }
    const auto before = counter(left, Counter::frames_sent) + counter(right, Counter::frames_sent);
    for (std::size_t i = 1; i <= rounds; ++i) {
        REQUIRE(pair.a.post({.segments = std::span(&here, 1), .signalled = false}) == std::errc());
        REQUIRE(world.run([&] { return pair.b.poll() >= i; }));
        REQUIRE(pair.b.post({.segments = std::span(&there, 1), .signalled = false}) == std::errc());
        REQUIRE(world.run([&] { return pair.a.poll() >= i; }));
    }
    world.run_for(1s); // without an answer, it goes by itself
    const auto frames = counter(left, Counter::frames_sent) + counter(right, Counter::frames_sent);
    CHECK(frames - before <= 2 * rounds + 8);
    CHECK(pair.a.connection->idle());
    CHECK(pair.b.connection->idle());
    CHECK(counter(left, Counter::retransmitted) + counter(right, Counter::retransmitted) == 0);
}
