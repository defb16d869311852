// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What an engine does when its link changes.
#include "tests/l2/engine_rig.hpp"

#include <catch2/generators/catch_generators.hpp>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

TEST_CASE("R3.10: no frame is built while none fits, and all goes on when one does")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    right.port->set_frame_limit(60); // no payload fits
    world.run_for(300ms);            // it is looked at a few times a second
    REQUIRE(pair.b.connection->payload_limit() == 0);
    REQUIRE(pair.a.post({.id = 1,
                         .operation = Operation::read,
                         .segments = std::span(&memories.from, 1),
                         .remote = remote(memories.target, memories.target_key)}) == std::errc());
    world.run_for(100ms);
    CHECK(pair.a.poll() == 0);
    right.port->set_frame_limit(1514);
    REQUIRE(pair.run(1, 0, 1s));
    CHECK(pair.a.completions[0].status == Status::success);
    CHECK(memories.source == memories.target);
}

TEST_CASE("R3.10: when the address changes old connections end, and new ones come from the new one")
{
    const bool seals = GENERATE(false, true);
    World world(1);
    auto& left = world.add(seals ? with_secret() : DeviceOptions());
    auto& right = world.add(seals ? with_secret() : DeviceOptions());
    Pair pair(world, left, right);
    Memories memories(pair);
    REQUIRE(pair.a.receive(1, std::span(&memories.from, 1)) == std::errc());
    REQUIRE(pair.b.receive(1, std::span(&memories.to, 1)) == std::errc());
    right.port->set_address(address_of(77));
    REQUIRE(pair.run(1, 1, 300ms)); // it is looked at a few times a second
    CHECK(pair.a.connection->state() == ConnectionState::closed); // it was told
    CHECK(pair.a.completions[0].status == Status::flushed);
    CHECK(pair.b.connection->state() == ConnectionState::failed);
    CHECK(pair.b.completions[0].status == Status::flushed);

    bool of_old = false;
    world.network.watch([&](const Network::Entering& entering) {
        of_old = of_old || parsed(entering.bytes).source == address_of(2);
    });
    pair.reconnect();
    memories.write();
    REQUIRE(pair.run(2, 1, 1s));
    CHECK(pair.a.completions[1].status == Status::success);
    const Pair asks(world, right, left);
    CHECK_FALSE(of_old);
}
