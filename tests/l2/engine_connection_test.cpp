// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/engine_rig.hpp"
#include "tests/l2/raw_frame.hpp"

#include "lib/l2/wire_rules.hpp"

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

/// Loses the first `times` frames of an opcode.
void lose(World& world, wire::Opcode opcode, unsigned times)
{
    world.network.drop_if([opcode, times](const Network::Entering& entering) mutable {
        return times != 0 && parsed(entering.bytes).header.opcode == opcode && times-- != 0;
    });
}

} // namespace

TEST_CASE("Connection: any one frame of its beginning may be lost")
{
    for (const auto opcode :
         {wire::Opcode::connect_request, wire::Opcode::connect_reply, wire::Opcode::ready_to_use})
        for (const unsigned times : {1U, 3U}) {
            World world(1);
            auto& left = world.add();
            auto& right = world.add();
            lose(world, opcode, times);
            Pair pair(world, left, right);
            Memories memories(pair);
            memories.write();
            REQUIRE(pair.run(1, 0));
            CHECK(pair.a.completions[0].status == Status::success);
            CHECK(memories.target == memories.source);
            CHECK(left.engine->connections() == 1);
            CHECK(right.engine->connections() == 1);
        }
}

TEST_CASE("Connection: a request that comes twice is one request")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    std::vector<std::vector<std::byte>> requests;
    world.network.watch([&](const Network::Entering& entering) {
        if (parsed(entering.bytes).header.opcode == wire::Opcode::connect_request)
            requests.emplace_back(entering.bytes.begin(), entering.bytes.end());
    });
    Pair pair(world, left, right);
    world.network.watch({});
    REQUIRE_FALSE(requests.empty());
    for (int i = 0; i < 10; ++i)
        world.network.inject(*left.port, requests[0]);
    world.run_for(1s);
    CHECK(right.engine->connections() == 1);
    CHECK(right.engine->pending().size() == 0);
    CHECK(pair.a.connection->state() == ConnectionState::established);
    CHECK(pair.b.connection->state() == ConnectionState::established);
}

TEST_CASE("Connection: who is not served, or refused, learns why")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    End end;
    end.station = &left;
    end.connection =
        left.engine->connect(right.port->address(), 5, Pair::setup(end, {}), world.now);
    REQUIRE(world.run([&] { return end.connection->state() == ConnectionState::failed; }, 1s));
    CHECK(end.connection->handshake().reject_reason() ==
          static_cast<std::uint32_t>(RejectReason::no_listener));

    (void)right.engine->pending().listen(6, 1, nullptr);
    end.connection =
        left.engine->connect(right.port->address(), 6, Pair::setup(end, {}), world.now);
    world.run_for(1ms);
    const auto* const request = right.engine->pending().take(6, world.now);
    REQUIRE(request != nullptr);
    const std::array why = {std::byte{3}};
    right.engine->reject(request->id, why, world.now);
    REQUIRE(world.run([&] { return end.connection->state() == ConnectionState::failed; }, 1s));
    CHECK(end.connection->handshake().peer_data().size() == 1);
    CHECK(end.connection->handshake().reject_reason() ==
          static_cast<std::uint32_t>(RejectReason::by_application));
}

TEST_CASE("Connection: requests that wait are bounded, and forgotten")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    (void)right.engine->pending().listen(6, 4, nullptr);
    std::vector<std::unique_ptr<End>> ends;
    for (int i = 0; i < 10; ++i) {
        ends.push_back(std::make_unique<End>());
        ends.back()->station = &left;
        ends.back()->connection = left.engine->connect(right.port->address(), 6,
                                                       Pair::setup(*ends.back(), {}), world.now);
    }
    world.run_for(1ms);
    CHECK(right.engine->pending().size() == 4);
    for (auto& end : ends)
        left.engine->destroy(*end->connection, world.now);
    world.run_for(10s);
    CHECK(right.engine->pending().size() == 0);
    CHECK(left.engine->connections() == 0);
}

TEST_CASE("Connection: a disconnect flushes both ends, also if its frames are lost")
{
    for (const auto opcode : {wire::Opcode::disconnect_request, wire::Opcode::disconnect_reply}) {
        Joined joined;
        auto& [world, left, right, pair] = joined;
        Memories memories(pair);
        REQUIRE(pair.b.receive(1, std::span(&memories.to, 1)) == std::errc());
        REQUIRE(pair.b.receive(2, std::span(&memories.to, 1)) == std::errc());
        lose(world, opcode, 2);
        left.engine->destroy(*pair.a.connection, world.now);
        REQUIRE(pair.run(0, 2, 2s));
        CHECK(pair.b.completions[0].status == Status::flushed);
        CHECK(pair.b.completions[0].id == 1);
        CHECK(pair.b.completions[1].id == 2);
        CHECK(pair.b.connection->state() == ConnectionState::closed);
        CHECK(pair.b.receive(3, std::span(&memories.to, 1)) == std::errc::not_connected);
        world.run_for(3s);
        CHECK(left.engine->connections() == 0);
    }
}

TEST_CASE("R3.6: a peer that restarts is known to have within a keep-alive, and no old write lands")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    std::vector<std::vector<std::byte>> old;
    world.network.watch([&](const Network::Entering& entering) {
        if (parsed(entering.bytes).header.opcode == wire::Opcode::write)
            old.emplace_back(entering.bytes.begin(), entering.bytes.end());
    });
    memories.write();
    REQUIRE(pair.run(1, 0));
    world.network.watch({});
    right.restart();
    std::fill(memories.target.begin(), memories.target.end(), std::byte());
    REQUIRE(world.run([&] { return pair.a.connection->state() == ConnectionState::failed; },
                      right.options_.keep_alive + 250ms));
    CHECK(counter(left, Counter::no_link_received) != 0);
    // Its successor uses the same numbers and memory; what is under way from before must not land.
    pair.b.station = &right;
    pair.b.domain = right.engine->new_domain();
    pair.reconnect();
    (void)pair.b.add_region(memories.target);
    for (const auto& frame : old)
        world.network.inject(*left.port, frame);
    world.run_for(100ms);
    CHECK(counter(right, Counter::stale_epoch) >= old.size());
    CHECK(std::all_of(memories.target.begin(), memories.target.end(),
                      [](std::byte byte) { return byte == std::byte(); }));
}

TEST_CASE("R3.6: a frame of an earlier epoch is refused though all else in it is right")
{
    constexpr std::size_t epoch_at = 14 + 7;
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair, 64);
    std::vector<std::byte> held;
    world.network.drop_if([&](const Network::Entering& entering) {
        if (parsed(entering.bytes).header.opcode != wire::Opcode::write ||
            (!held.empty() && entering.bytes[epoch_at] != held[epoch_at]))
            return false;
        held.assign(entering.bytes.begin(), entering.bytes.end());
        return true;
    });
    memories.write();
    REQUIRE(world.run([&] { return !held.empty(); }, 10ms));
    auto forged = held;
    forged[epoch_at] ^= std::byte{0x55};
    wire::mend(forged);
    world.network.inject(*left.port, forged);
    world.run_for(20ms);
    CHECK(counter(right, Counter::stale_epoch) == 1);
    CHECK(std::all_of(memories.target.begin(), memories.target.end(),
                      [](std::byte byte) { return byte == std::byte(); }));
}

TEST_CASE("R3.6: a request under way when the peer restarts ends soon")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    right.restart();
    memories.write();
    REQUIRE(pair.run(1, 0, 1s));
    CHECK(pair.a.completions[0].status == Status::peer_gone);
}

TEST_CASE("Connection: when a restarted peer connects again its old connections end")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    left.restart();
    auto* const old = pair.b.connection;
    End again;
    again.station = &left;
    again.connection =
        left.engine->connect(right.port->address(), 7, Pair::setup(again, {}), world.now);
    const PendingRequest* request = nullptr;
    REQUIRE(world.run([&] { return (request = right.engine->pending().take(7, world.now)); }, 1s));
    REQUIRE(right.engine->accept(request->id, Pair::setup(pair.b, {}), world.now) != nullptr);
    REQUIRE(world.run([&] { return old->state() == ConnectionState::failed; }, 100ms));
}

TEST_CASE("Connection: a peer that is silent counts as gone, one that is idle does not")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    world.run_for(20s);
    CHECK(pair.a.connection->state() == ConnectionState::established);
    CHECK(pair.b.connection->state() == ConnectionState::established);
    right.port->set_up(false);
    REQUIRE(world.run([&] { return pair.a.connection->state() == ConnectionState::failed; },
                      left.options_.dead_after + 1500ms));
}

TEST_CASE("Connection: a read whose peer falls silent ends")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    world.network.drop_if([](const Network::Entering& entering) {
        const auto opcode = parsed(entering.bytes).header.opcode;
        return opcode == wire::Opcode::read_response || opcode == wire::Opcode::probe;
    });
    REQUIRE(pair.a.post({.id = 1,
                         .operation = Operation::read,
                         .segments = std::span(&memories.from, 1),
                         .remote = remote(memories.target, memories.target_key)}) == std::errc());
    REQUIRE(pair.run(1, 0, 30s));
    CHECK(pair.a.completions[0].status != Status::success);
}

TEST_CASE("Connection: without a receive the peer waits, and goes on when there is one")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    REQUIRE(pair.a.post({.id = 1, .segments = std::span(&memories.from, 1)}) == std::errc());
    world.run_for(50ms);
    CHECK(counter(right, Counter::receiver_not_ready) != 0);
    CHECK(pair.a.poll() == 0);
    REQUIRE(pair.b.receive(1, std::span(&memories.to, 1)) == std::errc());
    REQUIRE(pair.run(1, 1, 1s));
    CHECK(memories.target == memories.source);
}

TEST_CASE("Connection: without a receive for too long a send ends, if it was so limited")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    QueuePairOptions options;
    options.rnr_retries = 3;
    Pair pair(world, left, right, options);
    Memories memories(pair);
    REQUIRE(pair.a.post({.id = 1, .segments = std::span(&memories.from, 1)}) == std::errc());
    REQUIRE(pair.a.post({.id = 2, .segments = std::span(&memories.from, 1)}) == std::errc());
    REQUIRE(pair.run(2, 0));
    CHECK(pair.a.completions[0].status == Status::rnr_retry_exceeded);
    CHECK(pair.a.completions[1].status == Status::flushed);
    REQUIRE(world.run([&] { return pair.b.connection->state() == ConnectionState::closed; }, 1s));
}

TEST_CASE("Connection: a message longer than its receive fails at both ends")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    memories.to.length -= 1;
    REQUIRE(pair.b.receive(1, std::span(&memories.to, 1)) == std::errc());
    REQUIRE(pair.b.receive(2, std::span(&memories.to, 1)) == std::errc());
    REQUIRE(pair.a.post({.id = 1, .segments = std::span(&memories.from, 1)}) == std::errc());
    REQUIRE(pair.run(1, 2));
    CHECK(pair.a.completions[0].status == Status::remote_invalid);
    CHECK(pair.b.completions[0].status == Status::local_length);
    CHECK(pair.b.completions[1].status == Status::flushed);
}

TEST_CASE(
    "Connection: unsignalled requests complete in silence, a fence waits, inline needs no key")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    std::array<std::byte, 64> small = {};
    small.fill(std::byte{0x5a});
    const Segment piece = {small.data(), 64, 0};
    auto request = write_of(std::span(&piece, 1), remote(memories.target, memories.target_key));
    request.inline_data = true;
    request.signalled = false;
    REQUIRE(pair.a.post(request) == std::errc());
    small.fill(std::byte{});
    REQUIRE(pair.a.post({.id = 2,
                         .operation = Operation::read,
                         .segments = std::span(&memories.from, 1),
                         .remote = remote(memories.target, memories.target_key)}) == std::errc());
    // Fenced, it carries what the read has brought.
    std::vector<std::byte> after(64);
    auto fenced = write_of({}, remote(memories.target, memories.target_key), 3);
    const Segment read_back = {memories.source.data(), 64, memories.source_key};
    fenced.remote.address += 1000;
    fenced.segments = std::span(&read_back, 1);
    fenced.fence = true;
    REQUIRE(pair.a.post(fenced) == std::errc());
    REQUIRE(pair.run(2, 0));
    CHECK(pair.a.completions[0].id == 2);
    CHECK(pair.a.completions[1].id == 3);
    CHECK(memories.target[0] == std::byte{0x5a});
    CHECK(memories.target[1063] == std::byte{0x5a});
}

TEST_CASE("R3.5: lengths around the frame's")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair, 200'000);
    const auto limit = pair.a.connection->payload_limit();
    std::size_t done = 0;
    for (const std::uint32_t length :
         {0U, 1U, 17U, limit - 1, limit, limit + 1, 2 * limit, 64 * limit + 1}) {
        std::fill(memories.target.begin(), memories.target.end(), std::byte());
        memories.from.length = length;
        REQUIRE(pair.b.receive(1, std::span(&memories.to, 1)) == std::errc());
        REQUIRE(pair.a.post({.id = 1, .segments = std::span(&memories.from, 1)}) == std::errc());
        ++done;
        REQUIRE(pair.run(done, done));
        CHECK(pair.b.completions.back().length == length);
        CHECK(std::equal(memories.target.begin(), memories.target.begin() + length,
                         memories.source.begin()));
        CHECK(std::all_of(memories.target.begin() + length, memories.target.end(),
                          [](std::byte byte) { return byte == std::byte(); }));
    }
}

TEST_CASE("R3.7: with a secret frames are authenticated, and who does not know it stays outside")
{
    World world(1);
    auto& left = world.add(with_secret());
    auto& right = world.add(with_secret());
    auto& stranger = world.add(with_secret(2));
    auto& open = world.add();
    std::vector<std::vector<std::byte>> frames;
    world.network.watch([&](const Network::Entering& entering) {
        if (&entering.from == left.port.get())
            frames.emplace_back(entering.bytes.begin(), entering.bytes.end());
        CHECK((parsed(entering.bytes).header.flags & wire::sealed) != 0);
    });
    Pair pair(world, left, right);
    Memories memories(pair);
    memories.write();
    REQUIRE(pair.run(1, 0));
    CHECK(pair.a.completions[0].status == Status::success);
    CHECK(memories.target == memories.source);
    world.network.watch({});

    std::fill(memories.target.begin(), memories.target.end(), std::byte());
    for (const auto& frame : frames)
        world.network.inject(*left.port, frame); // again, as they were
    world.run_for(100ms);
    CHECK(counter(right, Counter::replayed) != 0);
    CHECK(pair.b.connection->state() == ConnectionState::established);
    CHECK(memories.target[0] == std::byte());

    for (auto* one : {&stranger, &open}) {
        End end;
        end.station = one;
        end.connection =
            one->engine->connect(right.port->address(), 7, Pair::setup(end, {}), world.now);
        world.run_for(500ms);
        CHECK(end.connection->state() != ConnectionState::established);
        CHECK(right.engine->pending().size() == 0);
        one->engine->destroy(*end.connection, world.now);
        world.run_for(2s);
    }
    CHECK(counter(right, Counter::bad_seal) != 0);
}

TEST_CASE("R3.10: a connection outlives a smaller MTU and a link that is down for a while")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    memories.write();
    world.run_for(1us);
    right.port->set_up(false);
    world.run_for(100ms);
    right.port->set_up(true);
    REQUIRE(pair.run(1, 0));
    CHECK(pair.a.completions[0].status == Status::success);
    CHECK(memories.target == memories.source);

    left.port->set_frame_limit(600);
    right.port->set_frame_limit(600);
    world.run_for(300ms); // it is looked at a few times a second
    std::fill(memories.target.begin(), memories.target.end(), std::byte());
    memories.write();
    REQUIRE(pair.run(2, 0));
    CHECK(pair.a.completions[1].status == Status::success);
    CHECK(memories.target == memories.source);
}
