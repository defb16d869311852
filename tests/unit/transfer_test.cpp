// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/address.hpp"
#include "tools/p2prdma/channel.hpp"
#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/pieces.hpp"
#include "tools/p2prdma/wire.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <string>

#include <catch2/catch_all.hpp>
#include <sys/socket.h>
#include <unistd.h>

using namespace p2prdma;
using namespace p2prdma::tool;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Message;

namespace {

constexpr std::uint64_t token = 0x1122334455667788;

wire::Hello some_hello()
{
    wire::Hello hello;
    hello.transport = wire::Transport::srd;
    hello.mtu = 5;
    hello.lid = 0x1234;
    hello.qp_number = 0xabcdef;
    hello.qkey = 0xdeadbeef;
    hello.packet_number = 0xffffff;
    hello.gid.fill(std::byte{0x5a});
    return hello;
}

wire::Plan some_plan()
{
    wire::Plan plan;
    plan.piece_bytes = 4096;
    plan.pieces = 3;
    plan.regions = 2;
    plan.region[0] = {0, 4096, 7};
    plan.region[1] = {0x1000, 8192, 8};
    return plan;
}

wire::Message decode(std::span<const std::byte> bytes)
{
    const auto header = wire::decode_header(bytes.first(wire::header_size));
    return wire::decode(header, bytes.subspan(wire::header_size));
}

wire::Message there_and_back(const wire::Message& message)
{
    return decode(wire::encode(message, token));
}

std::string refusal(const std::vector<std::byte>& bytes)
{
    try {
        static_cast<void>(decode(bytes));
    } catch (const Failure& failure) {
        return failure.what();
    }
    return "";
}

void set(std::vector<std::byte>& bytes, std::size_t offset, std::uint64_t value, std::size_t size)
{
    for (std::size_t i = 0; i < size; i++)
        bytes.at(offset + i) = static_cast<std::byte>(value >> (8 * i));
}

/// A transfer's control connection whose other end is the test.
struct Connection {
    explicit Connection(std::chrono::milliseconds limit = std::chrono::seconds(20))
        : patience(interrupt, limit)
    {
        std::array<int, 2> ends = {};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        channel.emplace(UniqueFd(ends[0]), patience, "peer");
        peer.reset(ends[1]);
        channel->set_token(token);
    }
    void say(std::span<const std::byte> bytes)
    {
        REQUIRE(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    void say(const wire::Message& message) { say(wire::encode(message, token)); }

    Interrupt interrupt;
    Patience patience;
    std::optional<Channel> channel;
    UniqueFd peer;
};

Exit status_of(auto&& call)
{
    try {
        call();
    } catch (const Failure& failure) {
        return failure.status();
    }
    return Exit::ok;
}

} // namespace

TEST_CASE("wire: every message survives the way")
{
    CHECK(std::get<wire::Hello>(there_and_back(some_hello())) == some_hello());
    CHECK(std::get<wire::Plan>(there_and_back(some_plan())) == some_plan());
    const wire::Offer offer = {std::numeric_limits<std::int64_t>::max(), 4096};
    CHECK(std::get<wire::Offer>(there_and_back(offer)) == offer);
    CHECK(std::get<wire::Visible>(there_and_back(wire::Visible{7, 8})) == wire::Visible{7, 8});
    CHECK(std::get<wire::Taken>(there_and_back(wire::Taken{9})) == wire::Taken{9});
    CHECK(std::get<wire::Alive>(there_and_back(wire::Alive{1})) == wire::Alive{1});
    wire::Finish finish = {12, {}};
    finish.digest.fill(std::byte{0xf0});
    CHECK(std::get<wire::Finish>(there_and_back(finish)) == finish);
    const wire::Result result = {13, finish.digest};
    CHECK(std::get<wire::Result>(there_and_back(result)) == result);
    const wire::Failed failed = {4, "card0 is full"};
    CHECK(std::get<wire::Failed>(there_and_back(failed)) == failed);
}

TEST_CASE("wire: the layout is pinned")
{
    const auto bytes = wire::encode(wire::Taken{0x0102030405060708}, token);
    const unsigned char expected[] = {0x50, 0x32, 0x52, 0x46, 1, 0,    5,    0,    8,    0,    0,
                                      0,    0,    0,    0,    0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
                                      0x22, 0x11, 8,    7,    6, 5,    4,    3,    2,    1};
    REQUIRE(bytes.size() == sizeof(expected));
    CHECK(std::memcmp(bytes.data(), expected, sizeof(expected)) == 0);
    CHECK(wire::encode(some_hello(), 0).size() == wire::header_size + 32);
    CHECK(wire::encode(wire::Offer{}, 0).size() == wire::header_size + 16);
    CHECK(wire::encode(some_plan(), 0).size() == wire::header_size + 72);
    CHECK(wire::encode(wire::Finish{}, 0).size() == wire::header_size + 40);
    CHECK(wire::encode(wire::Failed{}, 0).size() == wire::header_size + wire::max_body_size);
}

TEST_CASE("wire: a header that is none is refused")
{
    auto bytes = wire::encode(wire::Taken{1}, token);
    SECTION("magic")
    {
        set(bytes, 0, 0x20544547, 4); // "GET "
        CHECK_THAT(refusal(bytes), ContainsSubstring("no p2prdma command"));
    }
    SECTION("version")
    {
        set(bytes, 4, 2, 2);
        CHECK_THAT(refusal(bytes), ContainsSubstring("version 2"));
    }
    SECTION("type")
    {
        const auto type = GENERATE(0, 10, 0xffff);
        set(bytes, 6, static_cast<std::uint64_t>(type), 2);
        CHECK_THAT(refusal(bytes), ContainsSubstring("unknown type"));
    }
    SECTION("length")
    {
        const auto length = GENERATE(0u, 7u, 9u, 0x7fffffffu, 0xffffffffu);
        set(bytes, 8, length, 4);
        CHECK_THAT(refusal(bytes), ContainsSubstring("wrong length"));
    }
    SECTION("reserved")
    {
        set(bytes, 12, 1, 1);
        CHECK_THAT(refusal(bytes), ContainsSubstring("reserved"));
    }
}

TEST_CASE("wire: each cut-off message is refused")
{
    for (const wire::Message& message : {wire::Message(some_hello()), wire::Message(some_plan()),
                                         wire::Message(wire::Failed{1, "x"})}) {
        const auto bytes = wire::encode(message, token);
        for (std::size_t length = wire::header_size; length < bytes.size(); length++)
            REQUIRE_THAT(
                refusal({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}),
                ContainsSubstring("too short"));
    }
}

TEST_CASE("wire: fields out of range are refused")
{
    auto hello = some_hello();
    SECTION("transport")
    {
        hello.transport = static_cast<wire::Transport>(4);
    }
    SECTION("mtu 0")
    {
        hello.mtu = 0;
    }
    SECTION("mtu 6")
    {
        hello.mtu = 6;
    }
    SECTION("queue pair")
    {
        hello.qp_number = 1 << 24;
    }
    SECTION("packet number")
    {
        hello.packet_number = 1 << 24;
    }
    CHECK_THAT(refusal(wire::encode(hello, token)),
               ContainsSubstring("does not follow the protocol"));
}

TEST_CASE("wire: plans and offers out of range are refused")
{
    auto plan = some_plan();
    SECTION("regions")
    {
        plan.regions = 3;
    }
    SECTION("a region smaller than a piece")
    {
        plan.region[1].length = 4095;
    }
    SECTION("a region that wraps")
    {
        plan.region[0] = {UINT64_MAX - 4000, 4096, 1};
    }
    CHECK_FALSE(refusal(wire::encode(plan, token)).empty());
    CHECK_FALSE(refusal(wire::encode(wire::Offer{1ull << 63, 0}, token)).empty());
    auto reserved = wire::encode(some_plan(), token);
    set(reserved, wire::header_size + 20, 1, 1);
    CHECK_THAT(refusal(reserved), ContainsSubstring("reserved"));
}

TEST_CASE("wire: a peer's sentence cannot drive the terminal")
{
    const auto failed = std::get<wire::Failed>(there_and_back(wire::Failed{1, "a\x1b[2Jb\nc\x7f"}));
    CHECK(failed.sentence == "a?[2Jb?c?");
    CHECK(std::get<wire::Failed>(there_and_back(wire::Failed{1, std::string(999, 'x')}))
              .sentence.size() == 255);
    auto endless = wire::encode(wire::Failed{1, ""}, token);
    std::fill(endless.begin() + wire::header_size + 4, endless.end(), std::byte{'x'});
    CHECK_THAT(refusal(endless), ContainsSubstring("no end"));
}

TEST_CASE("pieces: an empty file has none")
{
    const auto pieces = cut(0, 4096, {1 << 20, 4096});
    CHECK(pieces.count == 0);
    CHECK(pieces.regions == 0);
    CHECK(pieces.fits(0));
    CHECK_FALSE(pieces.fits(1));
}

TEST_CASE("pieces: the whole file in one region if there is room")
{
    for (const std::uint64_t bytes : {1ull, 4095ull, 4096ull, 1ull << 20}) {
        const auto pieces = cut(bytes, 0, {1 << 20, 4096});
        CHECK(pieces.count == 1);
        CHECK(pieces.regions == 1);
        CHECK(pieces.piece_bytes == bytes);
        CHECK(pieces.fits(bytes));
    }
    // Room for all of it, but only with a part of a granule.
    CHECK(cut(5000, 0, {5000, 4096}).count == 2);
    // A bound on what is taken from a card, however large that is.
    const auto large = cut(whole_file_bytes + 1, 0, {1ull << 40, 4096});
    CHECK(large.piece_bytes == default_piece_bytes);
    CHECK(large.regions == 2);
}

TEST_CASE("pieces: any file fits any card with room, two regions at most, in whole")
{
    for (const std::uint64_t granule : {1ull, 4096ull, 65536ull})
        for (const std::uint64_t largest : {granule, 2 * granule, 3 * granule, 1000 * granule + 1})
            for (const std::uint64_t file :
                 {1ull, 4095ull, 4097ull, 65537ull, 1ull << 32, (1ull << 62) + 1})
                for (const std::uint64_t wanted : {0ull, 1ull, 4096ull, 5000ull, 1ull << 30}) {
                    CAPTURE(granule, largest, file, wanted);
                    const auto pieces = cut(file, wanted, {largest, granule});
                    REQUIRE(pieces.fits(file));
                    const auto rounded = (pieces.piece_bytes + granule - 1) / granule * granule;
                    REQUIRE(rounded * pieces.regions <= largest);
                    REQUIRE((!wanted || pieces.piece_bytes <= std::max(wanted, granule)));
                    const auto last = pieces.count - 1;
                    REQUIRE(pieces.length(last) > 0);
                    REQUIRE(pieces.length(last) <= pieces.piece_bytes);
                    REQUIRE(pieces.offset(last) + pieces.length(last) == file);
                    REQUIRE(pieces.region(last) < pieces.regions);
                }
}

TEST_CASE("pieces: a full card is asked for one granule, so that it tells")
{
    const auto pieces = cut(1 << 20, 0, {0, 4096});
    CHECK(pieces.piece_bytes == 4096);
    CHECK(pieces.regions == 1);
}

TEST_CASE("pieces: a peer's plan that does not fit is seen")
{
    CHECK(Pieces{10, 4, 3, 2}.fits(10));
    CHECK_FALSE(Pieces{10, 4, 2, 2}.fits(10));
    CHECK_FALSE(Pieces{10, 4, 4, 2}.fits(10));
    CHECK_FALSE(Pieces{10, 0, 3, 2}.fits(10));
    CHECK_FALSE(Pieces{10, 11, 1, 1}.fits(10));
    CHECK_FALSE(Pieces{10, 4, 3, 0}.fits(10));
    CHECK_FALSE(Pieces{10, 4, 3, 3}.fits(10));
    CHECK_FALSE(Pieces{10, 10, 1, 2}.fits(10));
    CHECK_FALSE(Pieces{10, 4, 3, 2}.fits(11));
}

TEST_CASE("address: as users write it")
{
    CHECK(Address::parse("node2").host == "node2");
    CHECK(Address::parse("node2").port == default_port);
    CHECK(Address::parse("10.0.0.1:80").port == 80);
    CHECK(Address::parse("[fd00::2]:9000").host == "fd00::2");
    CHECK(Address::parse("[fd00::2]").port == default_port);
    CHECK(Address::parse("fd00::2").host == "fd00::2");
    CHECK(Address::parse("[fd00::2]:9000").to_string() == "[fd00::2]:9000");
    for (const char* text : {"", ":80", "host:", "host:0", "host:65536", "host:x", "host:80x",
                             "[fd00::2", "[]", "[::1]80"})
        CHECK(status_of([&] { Address::parse(text); }) == Exit::usage);
}

TEST_CASE("channel: messages arrive whole, however they are cut")
{
    Connection c;
    const auto bytes = wire::encode(some_plan(), token);
    for (const auto& byte : bytes) {
        REQUIRE_FALSE(c.channel->try_receive());
        c.say({&byte, 1});
    }
    CHECK(std::get<wire::Plan>(*c.channel->try_receive()) == some_plan());
    c.say(wire::Alive{1});
    c.say(wire::Taken{4});
    c.say(wire::Taken{5});
    CHECK(c.channel->receive<wire::Taken>().piece == 4);
    CHECK(c.channel->receive<wire::Taken>().piece == 5);
}

TEST_CASE("channel: a peer that goes is told of, also within a message")
{
    Connection c;
    const auto message = wire::encode(wire::Taken{1}, token);
    const std::span begun(message);
    SECTION("between messages") {}
    SECTION("within a header")
    {
        c.say(begun.first(5));
    }
    SECTION("within a body")
    {
        c.say(begun.first(30));
    }
    c.peer.reset();
    CHECK(status_of([&] { static_cast<void>(c.channel->receive<wire::Taken>()); }) ==
          Exit::peer_lost);
}

TEST_CASE("channel: a silent peer is given up")
{
    Connection c(std::chrono::milliseconds(30));
    CHECK_THROWS_MATCHES(static_cast<void>(c.channel->receive<wire::Taken>()), Failure,
                         Catch::Matchers::MessageMatches(ContainsSubstring("nothing happened")));
}

TEST_CASE("channel: what does not belong to the transfer is refused")
{
    Connection c;
    SECTION("another message")
    {
        c.say(wire::Taken{1});
    }
    SECTION("another transfer")
    {
        c.say(wire::encode(wire::Visible{}, token + 1));
    }
    SECTION("no message")
    {
        c.say(std::vector<std::byte>(wire::header_size, std::byte{0xff}));
    }
    CHECK(status_of([&] { static_cast<void>(c.channel->receive<wire::Visible>()); }) ==
          Exit::failed);
}

TEST_CASE("channel: a peer's failure is passed on with a status that fits here")
{
    Connection c;
    const auto [said, status] =
        GENERATE(std::pair(4u, Exit::no_space), std::pair(7u, Exit::digest_mismatch),
                 std::pair(0u, Exit::failed), std::pair(130u, Exit::failed),
                 std::pair(0xffffffffu, Exit::failed));
    c.say(wire::Failed{said, "card0 is full"});
    try {
        static_cast<void>(c.channel->receive<wire::Taken>());
        FAIL("no failure");
    } catch (const Failure& failure) {
        CHECK(failure.status() == status);
        CHECK(std::string(failure.what()) == "peer says: card0 is full");
    }
}

TEST_CASE("channel: tells the peer why it gives up")
{
    Connection c;
    Channel other(std::move(c.peer), c.patience, "the other");
    const Failure failure(Exit::no_space, "card_full", "card0 is full");
    // The peer has not closed: a second at most.
    c.channel->give_up(failure);
    CHECK_THROWS_MATCHES(static_cast<void>(other.receive<wire::Taken>()), Failure,
                         Message("the other says: card0 is full"));
}

TEST_CASE("channel: a write to a peer that failed brings its reason")
{
    Connection c;
    c.say(wire::Failed{4, "disk full"});
    c.peer.reset();
    CHECK_THROWS_MATCHES(c.channel->send(wire::Taken{1}), Failure, Message("peer says: disk full"));
}

TEST_CASE("patience: the check is called while waiting, and may end it")
{
    Connection c;
    bool called = false;
    c.patience.watch_over([&] {
        called = true;
        throw Failure(Exit::no_device, "card_gone", "gone");
    });
    CHECK(status_of([&] { static_cast<void>(c.channel->receive<wire::Taken>()); }) ==
          Exit::no_device);
    CHECK(called);
}
