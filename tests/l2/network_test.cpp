// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/memory_port.hpp"
#include "lib/l2/network.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <vector>

using namespace p2prdma::l2;
using namespace std::chrono_literals;

namespace {

using Bytes = std::vector<std::byte>;

const MacAddress alice = {{2, 0, 0, 0, 0, 1}};
const MacAddress bob = {{2, 0, 0, 0, 0, 2}};
const MacAddress carol = {{2, 0, 0, 0, 0, 3}};
const MacAddress everybody = {MacAddress::broadcast};

Bytes frame_to(const MacAddress& to, const MacAddress& from, unsigned number,
               std::size_t size = 100)
{
    Bytes frame(size);
    std::memcpy(frame.data(), to.bytes.data(), 6);
    std::memcpy(frame.data() + 6, from.bytes.data(), 6);
    frame[12] = std::byte{0x88};
    frame[13] = std::byte{0xb5};
    std::memcpy(frame.data() + 14, &number, sizeof number);
    return frame;
}

bool send(Port& port, const Bytes& frame)
{
    const auto bytes = std::span<const std::byte>(frame);
    const Outgoing outgoing = {.pieces = {bytes.first(14), bytes.subspan(14)}, .count = 2};
    return port.send({&outgoing, 1}) == 1;
}

void settle(Network& network)
{
    while (network.next() != Time::max())
        network.deliver(network.next());
}

std::vector<Bytes> take(Port& port)
{
    std::vector<Bytes> taken;
    std::array<std::span<const std::byte>, 7> frames;
    while (const auto count = port.receive(frames))
        for (std::size_t i = 0; i < count; i++)
            taken.emplace_back(frames[i].begin(), frames[i].end());
    return taken;
}

std::vector<unsigned> numbers(Port& port)
{
    std::vector<unsigned> found;
    for (const auto& frame : take(port))
        std::memcpy(&found.emplace_back(), frame.data() + 14, sizeof(unsigned));
    return found;
}

} // namespace

TEST_CASE("Network: a frame arrives unchanged, at the one it is for")
{
    Network network(1);
    const auto a = network.attach(alice);
    const auto b = network.attach(bob);
    const auto c = network.attach(carol);
    const auto frame = frame_to(bob, alice, 7);
    REQUIRE(send(*a, frame));
    CHECK(take(*b).empty()); // nothing arrives before its time
    settle(network);
    CHECK(take(*b) == std::vector<Bytes>{frame});
    CHECK(take(*a).empty());
    CHECK(take(*c).empty());
    CHECK(network.frames_held() == 0);
}

TEST_CASE("Network: a broadcast arrives at all others")
{
    Network network(1);
    const auto a = network.attach(alice);
    const auto b = network.attach(bob);
    const auto c = network.attach(carol);
    REQUIRE(send(*a, frame_to(everybody, alice, 1)));
    settle(network);
    CHECK(take(*a).empty());
    CHECK(take(*b).size() == 1);
    CHECK(take(*c).size() == 1);
}

TEST_CASE("Network: short frames are padded with zeros")
{
    Network network(1);
    const auto a = network.attach(alice);
    const auto b = network.attach(bob);
    REQUIRE(send(*a, frame_to(bob, alice, 1, 20)));
    settle(network);
    auto expected = frame_to(bob, alice, 1, 20);
    expected.resize(60);
    CHECK(take(*b) == std::vector<Bytes>{expected});
}

TEST_CASE("Network: only the EtherType and the VLAN that a port is for come in")
{
    Network network(1);
    const auto a = network.attach(alice);
    const auto plain = network.attach(bob);
    const auto tagged = network.attach(carol, {}, {.ether_type = 0x88b5, .vlan = 5});
    const auto with_tag = [](Bytes frame, unsigned vlan) {
        const std::array tag = {std::byte{0x81}, std::byte{0}, std::byte{0x20},
                                static_cast<std::byte>(vlan)};
        frame.insert(frame.begin() + 12, tag.begin(), tag.end());
        return frame;
    };
    auto other = frame_to(bob, alice, 1);
    other[13] = std::byte{0};
    CHECK(send(*a, other));
    CHECK(send(*a, with_tag(frame_to(bob, alice, 2), 5)));
    CHECK(send(*a, frame_to(carol, alice, 3)));
    CHECK(send(*a, with_tag(frame_to(carol, alice, 4), 6)));
    CHECK(send(*a, with_tag(frame_to(carol, alice, 5), 5)));
    CHECK(send(*a, with_tag(frame_to(bob, alice, 6), 0))); // a priority, no VLAN
    settle(network);
    CHECK(take(*plain) == std::vector<Bytes>{with_tag(frame_to(bob, alice, 6), 0)});
    CHECK(take(*tagged) == std::vector<Bytes>{with_tag(frame_to(carol, alice, 5), 5)});
    CHECK(network.counters().unwanted == 4);
}

TEST_CASE("Network: rate and delay of both links make the time of arrival")
{
    Network network(1);
    const LinkOptions gigabit = {.bits_per_second = 1'000'000'000, .delay = 3us};
    const auto a = network.attach(alice, gigabit);
    const auto b = network.attach(bob, gigabit);
    // (976 + 24) * 8 ns on each link
    REQUIRE(send(*a, frame_to(bob, alice, 1, 976)));
    REQUIRE(send(*a, frame_to(bob, alice, 2, 976)));
    network.deliver(22us - 1ns);
    CHECK(numbers(*b).empty());
    network.deliver(22us);
    CHECK(numbers(*b) == std::vector{1U});
    network.deliver(30us - 1ns);
    CHECK(numbers(*b).empty());
    network.deliver(30us);
    CHECK(numbers(*b) == std::vector{2U});
    CHECK(network.next() == Time::max());
}

TEST_CASE("Network: send() says no while the cable is busy, and yes later")
{
    Network network(1);
    const auto a = network.attach(alice, {.bits_per_second = 1'000'000'000, .send_queue = 10'000});
    const auto b = network.attach(bob);
    unsigned sent = 0;
    while (send(*a, frame_to(bob, alice, sent, 976)))
        sent++;
    CHECK(sent == 11);
    network.deliver(network.next());
    CHECK(send(*a, frame_to(bob, alice, sent, 976)));
    settle(network);
    CHECK(numbers(*b).size() == 12);
}

TEST_CASE("Network: a switch whose buffer is full drops")
{
    const std::size_t buffer = 10'000;
    const bool shared = GENERATE_COPY(false, true);
    Network network(1,
                    {.output_buffer = shared ? 0 : buffer, .shared_buffer = shared ? buffer : 0});
    const LinkOptions slow = {.bits_per_second = 1'000'000};
    const auto a = network.attach(alice);
    const auto b = network.attach(bob, slow);
    const auto c = network.attach(carol, slow);
    for (unsigned i = 0; i < 20; i++) {
        CHECK(send(*a, frame_to(bob, alice, i, 1000)));
        CHECK(send(*a, frame_to(carol, alice, i, 1000)));
    }
    settle(network);
    CHECK(numbers(*b).size() == (shared ? 5 : 10));
    CHECK(numbers(*c).size() == (shared ? 5 : 10));
    CHECK(network.counters().overflowed == (shared ? 30 : 20));
}

TEST_CASE("Network: loses, duplicates and corrupts as often as it was told")
{
    Network network(4711);
    const auto a = network.attach(alice, {.to_switch = {.lose = 0.1, .corrupt = 0.05}});
    const auto b = network.attach(bob, {.to_station = {.duplicate = 0.2}});
    const unsigned total = 20'000;
    unsigned damaged = 0, arrived = 0;
    for (unsigned i = 0; i < total; i++) {
        const auto frame = frame_to(bob, alice, i, 1000);
        REQUIRE(send(*a, frame));
        settle(network);
        for (const auto& got : take(*b)) {
            unsigned bits = 0;
            for (std::size_t at = 0; at < got.size(); at++)
                bits += std::popcount(std::to_integer<unsigned>(got[at] ^ frame[at]));
            REQUIRE(bits <= 1);
            damaged += bits;
            arrived++;
        }
    }
    const auto& counters = network.counters();
    const auto near = [](std::uint64_t count, double expected) {
        const auto value = static_cast<double>(count);
        return value > 0.9 * expected && value < 1.1 * expected;
    };
    CHECK(near(counters.lost, total * 0.1));
    CHECK(near(counters.duplicated, total * 0.9 * 0.2));
    CHECK(near(counters.corrupted, total * 0.9 * 0.05));
    CHECK(arrived == total - counters.lost + counters.duplicated - counters.unwanted);
    CHECK(near(damaged, total * 0.9 * 0.05 * 1.2));
    CHECK(network.frames_held() == 0);
}

TEST_CASE("Network: reordering is bounded, and loses nothing")
{
    Network network(3);
    const auto a = network.attach(alice, {.to_switch = {.reorder = 0.2, .reorder_by = 8}});
    const auto b = network.attach(bob);
    const unsigned total = 5000;
    for (unsigned i = 0; i < total; i++)
        REQUIRE(send(*a, frame_to(bob, alice, i)));
    settle(network);
    auto got = numbers(*b);
    REQUIRE(got.size() == total);
    unsigned latest = 0, overtaken = 0, furthest = 0;
    for (const auto number : got) {
        overtaken += number < latest;
        furthest = std::max(furthest, latest > number ? latest - number : 0);
        latest = std::max(latest, number);
    }
    CHECK(overtaken > total / 10);
    CHECK(furthest > 4);
    CHECK(furthest < 32); // held frames do not overtake: they add to the distance
    std::ranges::sort(got);
    CHECK(got.back() == total - 1);
    CHECK(std::ranges::adjacent_find(got) == got.end());
}

TEST_CASE("Network: a held frame that nothing overtakes arrives late")
{
    Network network(3);
    const auto a = network.attach(alice, {.to_switch = {.reorder = 1, .reorder_time = 50us}});
    const auto b = network.attach(bob);
    REQUIRE(send(*a, frame_to(bob, alice, 1)));
    network.deliver(49us);
    CHECK(numbers(*b).empty());
    network.deliver(50us);
    CHECK(numbers(*b).size() == 1);
    settle(network);
    CHECK(numbers(*b).empty());
}

TEST_CASE("Network: drop_if() loses one certain frame, watch() sees it")
{
    Network network(1);
    const auto a = network.attach(alice);
    const auto b = network.attach(bob);
    unsigned seen = 0;
    network.watch([&](const Network::Entering& frame) { seen += frame.from.address() == alice; });
    network.drop_if([](const Network::Entering& frame) { return frame.bytes[14] == std::byte{2}; });
    for (unsigned i = 1; i <= 3; i++)
        REQUIRE(send(*a, frame_to(bob, alice, i)));
    settle(network);
    CHECK(numbers(*b) == std::vector{1U, 3U});
    CHECK(seen == 3);
    CHECK(network.counters().dropped == 1);
}

TEST_CASE("Network: frames longer than a link takes do not pass")
{
    Network network(1);
    const auto a = network.attach(alice, {.frame_limit = 9014});
    const auto b = network.attach(bob);
    CHECK(a->frame_limit() == 9014);
    CHECK(send(*a, frame_to(bob, alice, 1, 1514)));
    CHECK(send(*a, frame_to(bob, alice, 2, 1515)));
    CHECK(send(*a, frame_to(bob, alice, 3, 9015)));
    settle(network);
    CHECK(numbers(*b) == std::vector{1U});
    b->set_frame_limit(9014);
    CHECK(send(*a, frame_to(bob, alice, 4, 9014)));
    settle(network);
    CHECK(numbers(*b) == std::vector{4U});
    CHECK(network.counters().too_long == 2);
}

TEST_CASE("Network: a link that is down loses what is on the cable")
{
    Network network(1);
    const auto a = network.attach(alice, {.delay = 1us});
    const auto b = network.attach(bob, {.delay = 1us});
    CHECK(send(*a, frame_to(bob, alice, 1)));
    b->set_up(false);
    CHECK_FALSE(b->is_up());
    CHECK_FALSE(send(*b, frame_to(alice, bob, 1)));
    settle(network);
    b->set_up(true);
    CHECK(send(*a, frame_to(bob, alice, 2)));
    settle(network);
    CHECK(numbers(*b) == std::vector{2U});
    CHECK(network.counters().link_down == 1);
}

TEST_CASE("Network: a station may leave, and its address come back elsewhere")
{
    Network network(1);
    const auto a = network.attach(alice);
    auto b = network.attach(bob);
    CHECK(send(*a, frame_to(bob, alice, 1)));
    b.reset();
    settle(network);
    CHECK(network.frames_held() == 0);
    b = network.attach(bob);
    CHECK(send(*a, frame_to(bob, alice, 2)));
    settle(network);
    CHECK(numbers(*b) == std::vector{2U});
}

TEST_CASE("Network: a forged source diverts frames until its owner sends")
{
    Network network(1);
    const auto a = network.attach(alice);
    const auto b = network.attach(bob);
    const auto c = network.attach(carol);
    network.inject(*c, frame_to(alice, bob, 1));
    settle(network);
    CHECK(numbers(*a) == std::vector{1U});
    CHECK(send(*a, frame_to(bob, alice, 2)));
    settle(network);
    CHECK(numbers(*b).empty());
    CHECK(send(*b, frame_to(alice, bob, 3)));
    settle(network);
    CHECK(send(*a, frame_to(bob, alice, 4)));
    settle(network);
    CHECK(numbers(*b) == std::vector{4U});
}

TEST_CASE("Network: what nobody receives is lost when the queue is full")
{
    Network network(1);
    const auto a = network.attach(alice);
    const auto b = network.attach(bob, {.receive_queue = 1000});
    for (unsigned i = 0; i < 20; i++)
        CHECK(send(*a, frame_to(bob, alice, i, 100)));
    settle(network);
    CHECK(numbers(*b).size() == 10);
    CHECK(network.counters().queue_full == 10);
}

TEST_CASE("Network: the same seed gives the same frames at the same times")
{
    const auto run = [](std::uint64_t seed) {
        Network network(seed);
        const LinkOptions bad = {
            .bits_per_second = 10'000'000'000,
            .delay = 1us,
            .to_switch = {
                .lose = 0.05, .duplicate = 0.05, .corrupt = 0.05, .reorder = 0.1, .reorder_by = 5}};
        const auto a = network.attach(alice, bad);
        const auto b = network.attach(bob, bad);
        std::vector<std::pair<Time, Bytes>> arrivals;
        for (unsigned i = 0; i < 500; i++) {
            (void)send(*a, frame_to(bob, alice, i));
            (void)send(*b, frame_to(alice, bob, i));
            network.deliver(network.next());
            for (auto& frame : take(*b))
                arrivals.emplace_back(network.now(), std::move(frame));
        }
        return arrivals;
    };
    CHECK(run(5) == run(5));
    CHECK(run(5) != run(6));
}
