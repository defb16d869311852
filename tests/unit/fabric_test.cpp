// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/event_loop.hpp"
#include "tools/lab/fabric.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <stdexcept>
#include <vector>

using namespace lab;

namespace {

constexpr Gid one{1};
constexpr Gid two{2};

struct Port final : FabricPort {
    void receive(PacketPtr packet) override { received.push_back(std::move(packet)); }
    void undeliverable(PacketPtr packet) override { returned.push_back(std::move(packet)); }

    std::vector<PacketPtr> received;
    std::vector<PacketPtr> returned;
};

struct Fixture {
    Fixture()
    {
        fabric.attach(one, a);
        fabric.attach(two, b);
    }
    void send(const Gid& from, const Gid& to, std::uint8_t mark, std::size_t length = 0)
    {
        auto packet = fabric.allocate(length);
        packet->source = from;
        packet->destination = to;
        packet->header[0] = std::byte{mark};
        fabric.send(std::move(packet));
    }
    void run()
    {
        for (int i = 0; i < 20; ++i)
            loop.run_once(std::chrono::milliseconds(0));
    }

    EventLoop loop;
    Fabric fabric{loop};
    Port a;
    Port b;
};

} // namespace

TEST_CASE_METHOD(Fixture, "a fabric delivers in order, and never from inside send()", "[fabric]")
{
    for (std::uint8_t i = 0; i < 200; ++i)
        send(one, two, i, 3);
    CHECK(b.received.empty());
    run();
    REQUIRE(b.received.size() == 200);
    for (std::uint8_t i = 0; i < 200; ++i)
        CHECK(b.received[i]->header[0] == std::byte{i});
    CHECK(a.received.empty());
    CHECK(fabric.packets() == 200);
    CHECK(fabric.bytes() == 600);
}

TEST_CASE_METHOD(Fixture, "a port reaches itself", "[fabric]")
{
    send(one, one, 7);
    run();
    REQUIRE(a.received.size() == 1);
}

TEST_CASE_METHOD(Fixture, "a packet to nobody comes back to its sender", "[fabric]")
{
    send(one, Gid{9}, 1);
    run();
    REQUIRE(a.returned.size() == 1);
    CHECK(a.returned[0]->destination == Gid{9});
    CHECK(fabric.packets() == 0);
}

TEST_CASE_METHOD(Fixture, "what is under way to a port that is detached comes back", "[fabric]")
{
    send(one, two, 1);
    fabric.detach(two);
    run();
    CHECK(b.received.empty());
    CHECK(a.returned.size() == 1);
}

TEST_CASE_METHOD(Fixture, "what a port sends before it is detached still arrives", "[fabric]")
{
    send(one, two, 1);
    fabric.detach(one);
    send(one, Gid{9}, 2); // and what would come back to it is lost
    run();
    CHECK(b.received.size() == 1);
    CHECK(a.returned.empty());
}

TEST_CASE_METHOD(Fixture, "an address has one port", "[fabric]")
{
    Port c;
    CHECK_THROWS_AS(fabric.attach(one, c), std::invalid_argument);
    fabric.detach(one);
    CHECK_NOTHROW(fabric.attach(one, c));
}

TEST_CASE_METHOD(Fixture, "a packet has a limited length", "[fabric]")
{
    CHECK(fabric.allocate(Fabric::max_payload)->payload.size() == Fabric::max_payload);
    CHECK_THROWS_AS(fabric.allocate(Fabric::max_payload + 1), std::length_error);
}

TEST_CASE("a packet may outlive its fabric", "[fabric]")
{
    EventLoop loop;
    PacketPtr kept;
    {
        Fabric fabric(loop);
        kept = fabric.allocate(100);
        fabric.send(fabric.allocate(1));
    }
    loop.run_once(std::chrono::milliseconds(0));
    CHECK(kept->payload.size() == 100);
}
