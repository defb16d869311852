// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Room for completions: none is ever lost, whoever polls late.
#include "tests/l2/engine_rig.hpp"

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

constexpr std::uint32_t room = 256, entries = 128;

/// Two ends, of which the one has room for 256 completions.
struct SmallQueue {
    SmallQueue() { pair.a.ring = CompletionRing(room); }

    /// How many writes were taken, of which all ended meanwhile.
    std::uint32_t write(std::uint32_t count, bool signalled = true)
    {
        memories.from.length = 8;
        auto request =
            write_of(std::span(&memories.from, 1), remote(memories.target, memories.target_key));
        request.signalled = signalled;
        std::uint32_t taken = 0;
        while (taken < count && pair.a.post(request) == std::errc())
            ++taken;
        REQUIRE(world.run([&] { return pair.a.connection->idle(); }, 1s));
        return taken;
    }

    World world{1};
    Station& left = world.add();
    Station& right = world.add();
    Pair pair{world, left, right};
    Memories memories{pair};
};

} // namespace

TEST_CASE("Completions: what has ended and was not polled takes room, and a post is refused")
{
    SmallQueue queue;
    auto& pair = queue.pair;
    CHECK(queue.write(entries) == entries);
    CHECK(queue.write(entries) == entries);
    CHECK(queue.write(entries) == 0);
    const auto place = queue.memories.from;
    CHECK(pair.a.receive(1, std::span(&place, 1)) == std::errc::no_buffer_space);
    std::array<Completion, 56> out;
    CHECK(pair.a.ring.pop(out) == out.size());
    CHECK(queue.write(entries) == out.size());
    std::size_t seen = 0;
    while (const auto count = pair.a.ring.pop(out))
        seen += count;
    CHECK(seen == room);
    CHECK(queue.write(entries) == entries);
}

TEST_CASE("Completions: a request without one takes room only while it may fail")
{
    SmallQueue queue;
    for (int round = 0; round < 5; ++round)
        CHECK(queue.write(entries, false) == entries);
    CHECK(queue.write(entries) == entries);
    CHECK(queue.pair.a.ring.size() == entries);
}

TEST_CASE("Completions: those of a queue pair that has gone are still there")
{
    SmallQueue queue;
    auto& [world, left, right, pair, memories] = queue;
    const auto place = memories.from;
    for (std::uint32_t i = 0; i < entries; ++i)
        REQUIRE(pair.a.receive(i, std::span(&place, 1)) == std::errc());
    CHECK(queue.write(entries) == entries);
    left.engine->destroy(*pair.a.connection, world.now);
    pair.reconnect();
    CHECK(queue.write(entries) == 0);
    CHECK(pair.a.poll() == 64);
    CHECK(queue.write(entries) == 64);
    while (pair.a.ring.size() != 0)
        (void)pair.a.poll();
    CHECK(pair.a.completions.size() == 2 * entries + 64);
}
