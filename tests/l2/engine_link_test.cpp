// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What an engine does when its link changes.
#include "tests/l2/engine_rig.hpp"

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
