// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/engine_rig.hpp"

#include "lib/l2/big_endian.hpp"
#include "lib/l2/crc32c.hpp"

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

using Bytes = std::vector<std::byte>;

/// Makes a changed frame pass the CRC: a peer that means harm can, too.
void correct_crc(Bytes& frame)
{
    if (frame.size() < 14 + wire::header_size + wire::crc_size)
        return;
    const auto body = std::span(frame).subspan(14, frame.size() - 14 - wire::crc_size);
    store_big(frame.data() + frame.size() - wire::crc_size, crc32c(0, body));
}

/// What the left end of a connection sends in its life, of all kinds.
std::vector<Bytes> record(World& world, Station& left, Station& right)
{
    std::vector<Bytes> frames;
    world.network.watch([&](const Network::Entering& entering) {
        if (&entering.from == left.port.get())
            frames.emplace_back(entering.bytes.begin(), entering.bytes.end());
    });
    Pair pair(world, left, right);
    auto source = pattern(3000);
    Bytes target(3000);
    const auto from = segment(source, pair.a.add_region(source));
    const auto to = segment(target, pair.b.add_region(target));
    REQUIRE(pair.b.receive(1, std::span(&to, 1)) == std::errc());
    REQUIRE(pair.a.post({.id = 1, .segments = std::span(&from, 1)}) == std::errc());
    for (const auto operation : {Operation::write, Operation::read})
        REQUIRE(pair.a.post({.id = 2,
                             .operation = operation,
                             .segments = std::span(&from, 1),
                             .remote = remote(target, to.key)}) == std::errc());
    REQUIRE(pair.run(3, 1));
    world.network.watch({});
    return frames;
}

} // namespace

TEST_CASE("R3.8: changed frames with a good CRC do no harm outside of regions")
{
    constexpr std::size_t guard = 4096, size = 4096;
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    const auto frames = record(world, left, right);
    Bytes memory(guard + size + guard, std::byte{0xee});
    const auto region = std::span(memory).subspan(guard, size);
    std::mt19937_64 random(1);
    std::size_t alive = 0;
    for (int round = 0; round < 40; ++round) {
        Pair pair(world, left, right);
        right.engine->pending().unlisten(7); // changed requests are not what the next pair accepts
        const auto key = pair.b.add_region(region);
        const auto place = segment(region, key);
        REQUIRE(pair.b.receive(1, std::span(&place, 1)) == std::errc());
        for (int i = 0; i < 100; ++i) {
            auto frame = frames[random() % frames.size()];
            // Addressed to the connection, so that it gets far.
            const auto& local = pair.b.connection->handshake().local();
            store_big<std::uint32_t>(&frame[18], local.qp << 8 | local.epoch);
            store_big<std::uint16_t>(&frame[28], local.tag);
            if (random() % 2)
                store_big<std::uint32_t>(&frame[22],
                                         pair.a.connection->handshake().local().psn << 8 |
                                             static_cast<std::uint32_t>(frame[25]));
            for (auto changes = random() % 4; changes != 0; --changes)
                frame[14 + random() % (frame.size() - 14)] = static_cast<std::byte>(random());
            if (random() % 8 == 0)
                frame.resize(random() % frame.size() + 1);
            correct_crc(frame);
            world.network.inject(*left.port, frame);
            world.run_for(5us);
        }
        world.run_for(1ms);
        alive += pair.b.connection->state() == ConnectionState::established ? 1 : 0;
        right.engine->memory().remove(key);
        left.engine->destroy(*pair.a.connection, world.now);
        right.engine->destroy(*pair.b.connection, world.now);
    }
    INFO(alive << " connections survived");
    CHECK(std::all_of(memory.begin(), memory.begin() + guard,
                      [](std::byte byte) { return byte == std::byte{0xee}; }));
    CHECK(std::all_of(memory.end() - guard, memory.end(),
                      [](std::byte byte) { return byte == std::byte{0xee}; }));
    world.run_for(5s);
    CHECK(right.engine->connections() == 1); // of record()
    CHECK(right.engine->counters()[Counter::refused] != 0);
}

TEST_CASE("R3.8: strangers get a bounded number of answers")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    const auto frames = record(world, left, right);
    right.restart();
    for (int i = 0; i < 20; ++i)
        for (const auto& frame : frames)
            for (int again = 0; again < 10; ++again)
                world.network.inject(*left.port, frame);
    world.run_for(50ms);
    CHECK(right.engine->counters()[Counter::stale_epoch] > 512);
    CHECK(right.engine->counters()[Counter::no_link_sent] <= 512);
}
