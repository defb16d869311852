// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What frames of somebody who only says who he is can do to the connections of others.
#include "tests/l2/engine_rig.hpp"
#include "tests/l2/raw_frame.hpp"

#include <catch2/generators/catch_generators.hpp>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

MacAddress stranger(unsigned number)
{
    return {{2, 1, 0, static_cast<std::uint8_t>(number >> 16),
             static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
}

/// A connect_request to `to` that says to be from `peer`, of its queue pair `qp`.
wire::Frame request_of(const MacAddress& peer, const Station& to, std::uint32_t qp)
{
    wire::Frame frame;
    frame.destination = to.port->address();
    frame.source = peer;
    frame.header.opcode = wire::Opcode::connect_request;
    frame.connect = wire::Connect{.qp = qp,
                                  .epoch = 9,
                                  .tag = 99,
                                  .payload_limit = 1000,
                                  .max_reads = 1,
                                  .service = 7,
                                  .nonce = {1, 2, 3}};
    return frame;
}

/// A frame as of the peer of a connection.
wire::Frame frame_to(const Connection& connection, const Station& to, wire::Opcode opcode)
{
    const auto& local = connection.handshake().local();
    wire::Frame frame;
    frame.destination = to.port->address();
    frame.source = connection.peer();
    frame.header.opcode = opcode;
    frame.header.dst_qp = local.qp;
    frame.header.epoch = local.epoch;
    frame.header.src_tag = local.tag;
    return frame;
}

} // namespace

TEST_CASE("Strangers: a reject without a seal is a hint, and what is genuine wins")
{
    World world(1);
    auto& left = world.add(with_secret());
    auto& right = world.add(with_secret());
    (void)right.engine->pending().listen(7, 4, nullptr);
    std::array<End, 2> ends;
    ends[0].station = &left;
    ends[1].station = &right;
    auto* const connection =
        left.engine->connect(right.port->address(), 7, Pair::setup(ends[0], {}), world.now);
    REQUIRE(connection != nullptr);
    auto reject = frame_to(*connection, left, wire::Opcode::reject);
    reject.connect = wire::Connect{.epoch = 9, .reason = 4, .nonce = {1}};
    world.network.inject(*right.port, wire::raw_frame(reject));
    world.run_for(1ms);
    CHECK_FALSE(connection->handshake().hinted()); // another nonce
    reject.connect->nonce = connection->handshake().local().nonce;
    world.network.inject(*right.port, wire::raw_frame(reject));
    world.run_for(1ms);
    CHECK(connection->handshake().hinted());
    CHECK(counter(left, Counter::unproven_rejects) == 1);
    CHECK(connection->state() == ConnectionState::request_sent);

    const auto* const request = right.engine->pending().take(7, world.now);
    REQUIRE(request != nullptr);
    if (GENERATE(true, false)) {
        REQUIRE(right.engine->accept(request->id, Pair::setup(ends[1], {}), world.now) != nullptr);
        CHECK(world.run([&] { return connection->state() == ConnectionState::established; }, 1s));
        CHECK(connection->handshake().agreed(wire::feature_sealed));
    } else {
        right.engine->reject(request->id, {}, world.now);
        CHECK(world.run([&] { return connection->state() == ConnectionState::failed; }, 1s));
        CHECK(connection->handshake().reject_reason() == 1);
    }
    CHECK_FALSE(connection->handshake().hinted());
}

TEST_CASE("Strangers: a request in the name of a connection does not hide it")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    world.network.inject(*left.port, wire::raw_frame(request_of(left.port->address(), right,
                                                                pair.a.connection->number())));
    const PendingRequest* request = nullptr;
    REQUIRE(world.run([&] { return (request = right.engine->pending().take(7, world.now)); }, 1s));
    End forged;
    REQUIRE(right.engine->accept(request->id, Pair::setup(forged, {}), world.now) != nullptr);
    world.run_for(10ms);
    left.restart();
    CHECK(world.run([&] { return pair.b.connection->state() == ConnectionState::failed; },
                    right.options_.keep_alive + 250ms));
}

TEST_CASE("Strangers: however many there were, the silence of an idle peer is noticed")
{
    constexpr unsigned strangers = 65'540, at_once = 64;
    Joined joined;
    auto& [world, left, right, pair] = joined;
    auto& helper = world.add();
    End end;
    std::vector<Connection*> made;
    for (unsigned first = 0; first < strangers; first += at_once) {
        for (unsigned i = first; i < first + at_once; ++i)
            world.network.inject(*helper.port, wire::raw_frame(request_of(stranger(i), right, 5)));
        world.run_for(1us);
        made.clear();
        while (const auto* request = right.engine->pending().take(7, world.now))
            made.push_back(right.engine->accept(request->id, Pair::setup(end, {}), world.now));
        for (const auto opcode : {wire::Opcode::ready_to_use, wire::Opcode::disconnect_reply}) {
            for (auto* const one : made)
                world.network.inject(*helper.port, wire::raw_frame(frame_to(*one, right, opcode)));
            world.run_for(1us);
            if (opcode == wire::Opcode::ready_to_use)
                for (auto* const one : made)
                    right.engine->destroy(*one, world.now);
        }
    }
    left.port->set_up(false);
    CHECK(world.run([&] { return pair.b.connection->state() == ConnectionState::failed; },
                    right.options_.dead_after + 1500ms));
}
