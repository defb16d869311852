// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/xdp_port.hpp"
#include "tests/l2/veth.hpp"

#include <catch2/catch_message.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>

using namespace p2prdma;
using namespace p2prdma::l2;
using namespace p2prdma::l2::test;

namespace {

const std::array kinds = {PortKind::packet, PortKind::ring, PortKind::xdp};

std::uint64_t counter(const Port& port, const std::string& name)
{
    for (const auto& [key, value] : port.statistics())
        if (key == name)
            return value;
    FAIL("no counter " << name);
    return 0;
}

} // namespace

TEST_CASE("Port: each kind talks to each other")
{
    const auto from = GENERATE(Catch::Generators::from_range(kinds));
    const auto to = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(from), to_string(to));
    const Veth veth;
    const auto a = open_kind(from, Veth::a);
    const auto b = open_kind(to, Veth::b);
    CHECK(a->kind() == from);
    CHECK(a->frame_limit() == 1514);
    CHECK(a->is_up());
    std::vector<Bytes> sent;
    for (const std::size_t size : {60, 61, 100, 1024, 1513, 1514})
        sent.push_back(make_frame(b->address(), a->address(), size));
    for (const auto& frame : sent)
        CHECK(send_frame(*a, frame));
    CHECK(receive_frames(*b, sent.size()) == sent);
    const auto back = make_frame(a->address(), b->address(), 200);
    CHECK(send_frame(*b, back));
    CHECK(receive_frames(*a, 1) == std::vector<Bytes>{back});
    CHECK(receive_all(*a).empty()); // nor what it sent itself
}

TEST_CASE("Port: thousands of frames in batches, in order")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(kind, Veth::a);
    const auto b = open_kind(kind, Veth::b);
    std::vector<Bytes> sent;
    std::vector<Outgoing> outgoing(100);
    for (unsigned i = 0; i < outgoing.size(); i++)
        sent.push_back(make_frame(b->address(), a->address(), 60 + i * 14, i));
    for (unsigned i = 0; i < outgoing.size(); i++)
        outgoing[i] = {.pieces = {sent[i]}, .count = 1};
    for (unsigned round = 0; round < 50; round++) {
        REQUIRE(a->send(outgoing) == outgoing.size());
        REQUIRE(receive_frames(*b, sent.size()) == sent);
    }
    CHECK(counter(*b, "kernel_dropped") == 0);
}

TEST_CASE("Port: frames that are not for it are left alone")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(PortKind::packet, Veth::a);
    const auto others = open_kind(PortKind::packet, Veth::b, {.ether_type = 0x88b6});
    const auto b = open_kind(kind, Veth::b);
    const auto other = make_frame(b->address(), a->address(), 100, 1, 0x88b6);
    const MacAddress nobody = {{2, 9, 9, 9, 9, 9}};
    CHECK(send_frame(*a, other));
    CHECK(send_frame(*a, make_frame(b->address(), a->address(), 100, 2, 0x88b5, 7)));
    CHECK(send_frame(*a, make_frame(nobody, a->address(), 100, 3)));
    const auto everybody = make_frame({MacAddress::broadcast}, a->address(), 100, 4);
    CHECK(send_frame(*a, everybody));
    CHECK(receive_frames(*b, 1) == std::vector<Bytes>{everybody});
    CHECK(receive_all(*b).empty());
    CHECK(receive_all(*others) == std::vector<Bytes>{other});
}

TEST_CASE("Port: with a VLAN, frames of that and no other come in")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(kind, Veth::a, {.vlan = 5});
    const auto b = open_kind(kind, Veth::b, {.vlan = 5});
    CHECK(a->frame_limit() == 1518);
    const auto is_like = [](const Bytes& got,
                            const Bytes& sent) { // the kernel may take the tag out
        return got == sent || (got.size() + 4 == sent.size() &&
                               std::equal(got.begin() + 12, got.end(), sent.begin() + 16));
    };
    CHECK(send_frame(*a, make_frame(b->address(), a->address(), 100, 1)));
    CHECK(send_frame(*a, make_frame(b->address(), a->address(), 100, 2, 0x88b5, 6)));
    CHECK(send_frame(*a, make_frame(b->address(), a->address(), 100, 3, 0x88b6, 5)));
    for (const std::size_t size : {100, 1518}) {
        const auto ours = make_frame(b->address(), a->address(), size, 4, 0x88b5, 5);
        CHECK(send_frame(*a, ours));
        const auto got = receive_frames(*b, 1);
        REQUIRE(got.size() == 1);
        CHECK(is_like(got[0], ours));
    }
    CHECK(receive_all(*b).empty());
}

TEST_CASE("Port: every MTU, and one that changes under way")
{
    const auto kind = GENERATE(PortKind::packet, PortKind::ring);
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(kind, Veth::a);
    const auto b = open_kind(kind, Veth::b);
    for (const unsigned mtu : {1500, 9000, 65535, 600, 4000}) {
        CAPTURE(mtu);
        for (const auto* end : {Veth::a, Veth::b})
            Veth::ip(std::string("link set ") + end + " mtu " + std::to_string(mtu));
        a->look();
        b->look();
        CHECK(a->frame_limit() == mtu + 14);
        (void)receive_all(*b); // takes the new size
        const auto longest = make_frame(b->address(), a->address(), mtu + 14, 1);
        CHECK(send_frame(*a, longest));
        CHECK(receive_frames(*b, 1) == std::vector<Bytes>{longest});
    }
}

TEST_CASE("Port: a frame too long is counted, and does not stop what follows")
{
    const auto kind = GENERATE(PortKind::packet, PortKind::ring);
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(kind, Veth::a);
    const auto b = open_kind(kind, Veth::b);
    const auto good = make_frame(b->address(), a->address(), 100);
    const auto bad = make_frame(b->address(), a->address(), 1515);
    const std::array<Outgoing, 4> mixed = {{{.pieces = {good}, .count = 1},
                                            {.pieces = {bad}, .count = 1},
                                            {.pieces = {bad}, .count = 1},
                                            {.pieces = {good}, .count = 1}}};
    CHECK(a->send(mixed) == 4);
    CHECK(receive_all(*b) == std::vector<Bytes>{good, good});
    CHECK(counter(*a, "send_refused") == 2);
    // Longer than b expects: its MTU has grown, and it has not looked.
    Veth::ip(std::string("link set ") + Veth::a + " mtu 1600");
    Veth::ip(std::string("link set ") + Veth::b + " mtu 1600");
    CHECK(send_frame(*a, make_frame(b->address(), a->address(), 1614)));
    CHECK(send_frame(*a, good));
    CHECK(receive_all(*b) == std::vector<Bytes>{good});
    CHECK(counter(*b, "truncated") == 1);
}

TEST_CASE("Port: a link that goes down and up again")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(kind, Veth::a);
    const auto b = open_kind(kind, Veth::b);
    const auto frame = make_frame(b->address(), a->address(), 100);
    Veth::ip(std::string("link set ") + Veth::a + " down");
    a->look();
    CHECK_FALSE(a->is_up());
    (void)send_frame(*a, frame);
    CHECK(receive_all(*a).empty());
    Veth::ip(std::string("link set ") + Veth::a + " up");
    a->look();
    b->look();
    CHECK(a->is_up());
    CHECK(send_frame(*a, frame));
    CHECK(!receive_frames(*b, 1).empty());
    const auto back = make_frame(a->address(), b->address(), 100);
    CHECK(send_frame(*b, back));
    CHECK(receive_frames(*a, 1) == std::vector<Bytes>{back});
}

TEST_CASE("Port: an interface that goes away")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(kind, Veth::a);
    const auto frame = make_frame({MacAddress::broadcast}, a->address(), 100);
    Veth::ip(std::string("link delete ") + Veth::a);
    a->look();
    CHECK_FALSE(a->is_up());
    (void)send_frame(*a, frame);
    CHECK(receive_all(*a).empty());
}

TEST_CASE("Port: a new address is seen, and used")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(PortKind::packet, Veth::a);
    const auto b = open_kind(kind, Veth::b);
    const auto before = b->address();
    const MacAddress moved = {{2, 0, 0, 0, 7, 7}};
    Veth::ip(std::string("link set ") + Veth::b + " address " + moved.to_string());
    b->look();
    CHECK(b->address() == moved);
    const auto frame = make_frame(moved, a->address(), 100);
    CHECK(send_frame(*a, make_frame(before, a->address(), 100)));
    CHECK(send_frame(*a, frame));
    CHECK(receive_frames(*b, 1) == std::vector<Bytes>{frame});
}

TEST_CASE("Port: a receiver that is too slow loses frames, and counts them")
{
    const auto kind = GENERATE(PortKind::ring, PortKind::xdp);
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(PortKind::packet, Veth::a);
    const auto b = open_kind(kind, Veth::b);
    const unsigned total = 4000;
    for (unsigned i = 0; i < total; i++)
        REQUIRE(send_frame(*a, make_frame(b->address(), a->address(), 1514, i)));
    const auto got = receive_all(*b).size();
    CHECK(got > 256);
    CHECK(got < total);
    const auto name = kind == PortKind::ring ? "kernel_dropped" : "no_buffer";
    CHECK(counter(*b, name) > 0);
    const auto frame = make_frame(b->address(), a->address(), 100);
    CHECK(send_frame(*a, frame)); // it goes on
    CHECK(receive_frames(*b, 1) == std::vector<Bytes>{frame});
}

TEST_CASE("Port: it takes no frame longer than was asked for")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    const Veth veth(9000);
    CHECK(open_kind(kind, Veth::a, {.frame_limit = 1000})->frame_limit() == 1000);
    const auto expected = kind == PortKind::xdp ? XdpSocket::frame_limit : 9014;
    CHECK(open_kind(kind, Veth::a)->frame_limit() == expected);
}

namespace {

std::size_t open_files()
{
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

/// Opens a port, uses it, closes it.
void use_once(PortKind kind)
{
    const auto a = open_port(Veth::a, {.port = PortKind::packet});
    const auto b = open_port(Veth::b, {.port = kind});
    const auto frame = make_frame(b->address(), a->address(), 100);
    REQUIRE(send_frame(*a, frame));
    REQUIRE(receive_frames(*b, 1) == std::vector<Bytes>{frame});
}

void open_and_close(PortKind kind, unsigned times)
{
    const Veth veth;
    (void)open_kind(kind, Veth::b);
    use_once(kind);
    const auto files = open_files();
    for (unsigned i = 0; i < times; i++)
        use_once(kind);
    CHECK(open_files() == files);
    CHECK_FALSE(xdp_state(Interface(Veth::b)).occupied);
}

/// Sends numbered frames all the time, in a thread of its own, until it goes.
class Load {
public:
    explicit Load(Port& port, const MacAddress& to)
        : thread_([this, &port, to] {
              for (unsigned number = 0; !stop_; number++)
                  run(port, to, number);
          })
    {
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    ~Load()
    {
        stop_ = true;
        thread_.join();
    }

private:
    static void run(Port& port, const MacAddress& to, unsigned number)
    {
        if (number % 64 == 0)
            port.look();
        const auto size = std::min<std::size_t>(port.frame_limit(), 200 + number % 8000);
        if (size >= 64)
            (void)send_frame(port, make_frame(to, port.address(), size, number));
    }

    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

/// Until the latest frame sent comes in; all are as they were made.
void expect_frames(Port& port)
{
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    std::size_t good = 0;
    while (good < 100 && std::chrono::steady_clock::now() < until) {
        port.look();
        for (const auto& frame : receive_frames(port, 50, std::chrono::milliseconds(20))) {
            unsigned number = 0;
            std::memcpy(&number, frame.data() + 14, sizeof number);
            MacAddress to, from;
            std::memcpy(to.bytes.data(), frame.data(), 6);
            std::memcpy(from.bytes.data(), frame.data() + 6, 6);
            REQUIRE(frame == make_frame(to, from, frame.size(), number));
            good++;
        }
    }
    CHECK(good >= 100);
}

} // namespace

TEST_CASE("R3.10: ports opened and closed again and again leave nothing behind")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    open_and_close(kind, 20);
}

TEST_CASE("R3.10: 1000 times each", "[.long]")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    open_and_close(kind, 1000);
}

TEST_CASE("R3.10: MTU changes and a link that goes down under load")
{
    const auto kind = GENERATE(Catch::Generators::from_range(kinds));
    CAPTURE(to_string(kind));
    const Veth veth;
    const auto a = open_kind(kind, Veth::a);
    const auto b = open_kind(kind, Veth::b);
    const Load load(*a, b->address());
    const auto both = [](const std::string& change) {
        for (const auto* end : {Veth::a, Veth::b})
            Veth::ip("link set " + std::string(end) + " " + change);
    };
    for (const auto* change : {"mtu 9000", "mtu 600", "mtu 65535", "mtu 1500"}) {
        both(change);
        CAPTURE(change);
        expect_frames(*b);
    }
    for (const auto* end : {Veth::a, Veth::b}) {
        Veth::ip(std::string("link set ") + end + " down");
        (void)receive_frames(*b, 1000, std::chrono::milliseconds(20));
        Veth::ip(std::string("link set ") + end + " up");
        expect_frames(*b);
    }
}
