// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/engine_rig.hpp"

#include <malloc.h>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

std::size_t allocated()
{
    return ::mallinfo2().uordblks;
}

/// Many connections between two stations.
struct Crowd {
    Crowd(World& world_, Station& left, Station& right) : world(world_), a(left), b(right)
    {
        ends[0].station = &left;
        ends[1].station = &right;
        (void)right.engine->pending().listen(7, 1024, nullptr);
    }
    void grow(std::size_t count)
    {
        while (clients.size() < count) {
            for (std::size_t i = 0; i < 500 && clients.size() < count; ++i)
                clients.push_back(
                    a.engine->connect(b.port->address(), 7, Pair::setup(ends[0], {}), world.now));
            REQUIRE(world.run([&] {
                while (const auto* request = b.engine->pending().take(7, world.now))
                    servers.push_back(
                        b.engine->accept(request->id, Pair::setup(ends[1], {}), world.now));
                return servers.size() == clients.size() &&
                       clients.back()->state() == ConnectionState::established &&
                       servers.back()->state() == ConnectionState::established;
            }));
        }
        world.run_for(50ms);
    }

    World& world;
    Station &a, &b;
    std::array<End, 2> ends = {End(20'000), End(20'000)};
    std::vector<Connection*> clients, servers;
};

} // namespace

TEST_CASE("R7.4: an idle queue pair takes at most 4 KiB")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    Crowd crowd(world, left, right);
    crowd.grow(1000);
    const auto before = allocated();
    crowd.grow(2000);
    const auto each = (allocated() - before) / 1000 / 2; // both ends are here
    INFO(each << " bytes");
    CHECK(each <= 4096);
    CHECK(sizeof(Connection) <= 2048);
}

TEST_CASE("Engine: ten thousand queue pairs, and all of them work", "[.long]")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    Crowd crowd(world, left, right);
    crowd.grow(10'000);
    auto source = pattern(64);
    std::vector<std::byte> target(64);
    crowd.ends[0].domain = crowd.ends[1].domain = 0;
    const auto from = segment(source, crowd.ends[0].add_region(source));
    const auto key = crowd.ends[1].add_region(target);
    for (auto* const client : crowd.clients) {
        const SendRequest request{.operation = Operation::write,
                                  .segments = std::span(&from, 1),
                                  .remote = remote(target, key)};
        std::size_t taken = 0;
        REQUIRE(left.engine->post_send(*client, std::span(&request, 1), taken) == std::errc());
    }
    REQUIRE(world.run([&] { return crowd.ends[0].poll() == crowd.clients.size(); }));
}

TEST_CASE("Engine: many frames, to count instructions per frame", "[.cost]")
{
    World world(1);
    LinkOptions link;
    link.delay = 5us;
    link.bits_per_second = 10'000'000'000;
    auto& left = world.add({}, link);
    auto& right = world.add({}, link);
    Pair pair(world, left, right);
    auto source = pattern(1 << 20);
    std::vector<std::byte> target(source.size());
    const auto from = segment(source, pair.a.add_region(source));
    const auto key = pair.b.add_region(target);
    for (std::size_t i = 1; i <= 16; ++i) {
        REQUIRE(pair.a.post({.operation = Operation::write,
                             .segments = std::span(&from, 1),
                             .remote = remote(target, key)}) == std::errc());
        REQUIRE(pair.run(i, 0));
    }
    WARN(left.engine->counters()[Counter::frames_sent]
         << " frames sent, " << left.engine->counters()[Counter::frames_received] << " came back");
}

TEST_CASE("R3.6: all idle queue pairs of a peer that restarts end within a keep-alive")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    Crowd crowd(world, left, right);
    crowd.grow(1000);
    right.restart();
    const auto is_over = [](const Connection* one) {
        return one->state() == ConnectionState::failed;
    };
    CHECK(
        world.run([&] { return std::all_of(crowd.clients.begin(), crowd.clients.end(), is_over); },
                  left.options_.keep_alive + 250ms));
    CHECK(counter(right, Counter::no_link_sent) < 10); // one told it for all
}
