// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/wire.hpp"

#include "lib/l2/wire_rules.hpp"
#include "tests/l2/random_frame.hpp"
#include "tests/l2/raw_frame.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <functional>

using namespace p2prdma::l2::wire;

namespace {

Frame plain(Opcode opcode, unsigned flags = 0)
{
    Frame frame;
    frame.header.opcode = opcode;
    frame.header.flags = static_cast<std::uint8_t>(flags);
    return frame;
}

Frame plain_ack()
{
    auto frame = plain(Opcode::ack);
    frame.ack.emplace();
    return frame;
}

Verdict verdict(std::span<const std::byte> bytes)
{
    Frame frame;
    return parse(bytes, test_type, frame);
}

Verdict verdict(const Frame& frame)
{
    return verdict(raw_frame(frame));
}

/// What becomes of a frame with one byte changed under a right CRC.
Verdict changed(const Frame& frame, std::size_t at, unsigned to)
{
    auto bytes = raw_frame(frame);
    bytes.at(at) = static_cast<std::byte>(to);
    mend(bytes);
    return verdict(bytes);
}

} // namespace

TEST_CASE("Wire: each opcode with all its flags and extensions comes out as it went in")
{
    RandomFrames frames(1);
    for (const auto& rule : rules) {
        for (int i = 0; i < 200; i++) {
            const auto& frame = frames.next(rule);
            const auto bytes = padded(raw_frame(frame), std::byte{0xee});
            Frame parsed;
            REQUIRE(parse(bytes, test_type, parsed) == Verdict::good);
            REQUIRE(parsed == frame);
            REQUIRE(parsed.sealed_part.empty() == parsed.seal.empty());
            if (!parsed.seal.empty())
                REQUIRE(parsed.sealed_part.data() + parsed.sealed_part.size() ==
                        parsed.seal.data());
        }
    }
}

TEST_CASE("Wire: a frame that was parsed before leaves nothing behind")
{
    RandomFrames frames(2);
    Frame parsed;
    for (int i = 0; i < 5000; i++) {
        const auto& frame = frames.next();
        const auto bytes = raw_frame(frame);
        REQUIRE(parse(bytes, test_type, parsed) == Verdict::good);
        REQUIRE(parsed == frame);
    }
}

TEST_CASE("Wire: any flag or extension that the table does not name is refused")
{
    const unsigned data = first | last;
    for (const auto& rule : rules) {
        for (unsigned flags = 0; flags < 0x100; flags++) {
            Frame frame = plain(rule.opcode, flags & ~unsigned{sealed});
            const unsigned needed = rule.required | (flags & first ? rule.with_first : 0U);
            if (needed & ext_remote)
                frame.remote.emplace();
            if (needed & ext_atomic)
                frame.atomic.emplace();
            if (needed & ext_ack)
                frame.ack.emplace();
            if (needed & ext_connect)
                frame.connect.emplace();
            if (rule.opcode == Opcode::nak)
                frame.ack->syndrome = Syndrome::access;
            const bool good = !(flags & ~unsigned{rule.flags} & ~unsigned{sealed});
            INFO(int(rule.opcode) << " with flags " << flags);
            const auto is = verdict(frame);
            CHECK((is == Verdict::good) == good);
            CHECK((good || is == Verdict::bad_field || is == Verdict::bad_extensions));
        }
        CHECK((rule.with_first & rule.optional) == 0);
        CHECK(((rule.with_first | rule.with_last) == 0 || (rule.flags & data) == data));
    }
}

TEST_CASE("Wire: extensions go with the opcode and the place in the message")
{
    auto frame = plain(Opcode::write, first);
    CHECK(verdict(frame) == Verdict::bad_extensions); // lacks where to write
    frame.remote.emplace();
    CHECK(verdict(frame) == Verdict::good);
    frame.header.flags = last;
    CHECK(verdict(frame) == Verdict::bad_extensions);
    frame.remote.reset();
    frame.immediate = 1;
    CHECK(verdict(frame) == Verdict::good);
    frame.header.flags = 0;
    CHECK(verdict(frame) == Verdict::bad_extensions);
    frame = plain_ack();
    frame.connect.emplace();
    CHECK(verdict(frame) == Verdict::bad_extensions);
    CHECK(verdict(plain(Opcode::ack)) == Verdict::bad_extensions);
    CHECK(verdict(plain(Opcode::fetch_add)) == Verdict::bad_extensions);
    CHECK(changed(plain(Opcode::send), 14 + 11, 0x80) == Verdict::bad_extensions); // no such bit
}

TEST_CASE("Wire: numbers that mean nothing, and reserved ones, are refused")
{
    constexpr std::size_t header = 14;
    constexpr std::size_t body = header + header_size;
    CHECK(changed(plain(Opcode::send), header, 0x20) == Verdict::wrong_version);
    CHECK(changed(plain(Opcode::send), header, 0x1f) == Verdict::good); // a traffic class
    for (const unsigned opcode : {0x07, 0x0f, 0x13, 0x26, 0x33, 0x3f, 0x40, 0xff})
        CHECK(changed(plain(Opcode::send), header + 1, opcode) == Verdict::bad_opcode);

    CHECK(changed(plain_ack(), body + 3, 1) == Verdict::bad_field);   // a syndrome in an ack
    CHECK(changed(plain_ack(), body + 7, 1) == Verdict::bad_field);   // reserved
    CHECK(changed(plain_ack(), header + 8, 1) == Verdict::bad_field); // psn of an ack
    auto nak = plain_ack();
    nak.header.opcode = Opcode::nak;
    CHECK(verdict(nak) == Verdict::bad_field);
    CHECK(changed(nak, body + 3, 7) == Verdict::good);
    CHECK(changed(nak, body + 3, 8) == Verdict::bad_field);

    auto fault = plain_ack();
    fault.fault = {FaultKind::stall, 1, psn_mask, 2, 3, 4};
    CHECK(verdict(fault) == Verdict::good);
    for (const std::size_t reserved : {2, 3, 4})
        CHECK(changed(fault, body + 8 + reserved, 1) == Verdict::bad_field);
    CHECK(changed(fault, body + 8, 0) == Verdict::bad_field);
    CHECK(changed(fault, body + 8, 5) == Verdict::bad_field);

    auto connect = plain(Opcode::connect_request);
    connect.connect.emplace();
    for (std::size_t i = 0; i < 64; i++) {
        const bool reserved = (i >= 24 && i < 28) || i >= 44;
        CHECK(changed(connect, body + i, 1) == (reserved ? Verdict::bad_field : Verdict::good));
    }
}

TEST_CASE("Wire: payloads only where the table has them, and as long as the frame")
{
    const std::vector<std::byte> data(9);
    auto frame = plain(Opcode::send);
    frame.payload = data;
    CHECK(verdict(frame) == Verdict::good);
    CHECK(changed(frame, 14 + 13, 10) == Verdict::bad_length);
    CHECK(changed(frame, 14 + 12, 0xff) == Verdict::bad_length);
    CHECK(changed(frame, 14 + 13, 8) == Verdict::bad_crc); // it is looked for too early
    frame = plain_ack();
    frame.payload = data;
    CHECK(verdict(frame) == Verdict::bad_length);
}

TEST_CASE("Wire: truncated anywhere, never good, never read beyond")
{
    RandomFrames frames(3);
    for (const auto& rule : rules) {
        const auto bytes = raw_frame(frames.next(rule));
        for (std::size_t size = 0; size < bytes.size(); size++) {
            const std::vector<std::byte> piece(bytes.begin(),
                                               bytes.begin() + static_cast<long>(size));
            const auto is = verdict(piece);
            REQUIRE((is == Verdict::too_short || is == Verdict::bad_length ||
                     is == Verdict::wrong_type));
        }
    }
}

TEST_CASE("Wire: every single bit that the CRC covers is missed if it is turned")
{
    RandomFrames frames(4);
    for (const auto& rule : rules) {
        auto bytes = raw_frame(frames.next(rule));
        Frame whole;
        REQUIRE(parse(bytes, test_type, whole) == Verdict::good);
        for (std::size_t bit = (whole.vlan ? 18 : 14) * 8; bit < bytes.size() * 8; bit++) {
            const auto mask = static_cast<std::byte>(1U << bit % 8);
            bytes[bit / 8] ^= mask;
            REQUIRE(verdict(bytes) != Verdict::good);
            bytes[bit / 8] ^= mask;
        }
    }
}

TEST_CASE("Wire: other types, and tags within tags, are not for us")
{
    auto frame = plain_ack();
    Frame parsed;
    CHECK(parse(raw_frame(frame, 0x0800), test_type, parsed) == Verdict::wrong_type);
    CHECK(parse(raw_frame(frame, 0x1234), 0x1234, parsed) == Verdict::good);
    frame.vlan = 0x6123;
    CHECK(parse(raw_frame(frame, 0x8100), test_type, parsed) == Verdict::wrong_type);
    CHECK(parse(raw_frame(frame), test_type, parsed) == Verdict::good);
    CHECK(parsed.vlan == 0x6123);
}

TEST_CASE("Wire: the distance of two PSNs, over the wrap too")
{
    CHECK(psn_distance(5, 5) == 0);
    CHECK(psn_distance(psn_mask, 0) == 1);
    CHECK(psn_distance(0, psn_mask) == -1);
    CHECK(psn_distance(0, 0x7fffff) == 0x7fffff);
    CHECK(psn_distance(0, 0x800000) == -0x800000);
    CHECK(next_psn(psn_mask) == 0);
    CHECK(next_psn(0xfffff0, 0x20) == 0x10);
}

TEST_CASE("wire: where a frame seems to go is seen without taking it apart")
{
    for (const auto vlan : {std::optional<std::uint16_t>(), std::optional<std::uint16_t>(7)}) {
        Frame frame;
        frame.header.opcode = Opcode::keep_alive;
        frame.header.dst_qp = 0xabcdef;
        frame.vlan = vlan;
        std::array<std::byte, max_prefix> bytes = {};
        const auto size = compose(frame, 0, 0x88b5, bytes);
        CHECK(peek_dst_qp(std::span(bytes).first(size + crc_size)) == 0xabcdef);
        CHECK(peek_dst_qp(std::span(bytes).first(20)) == 0);
    }
    CHECK(peek_dst_qp({}) == 0);
}

TEST_CASE("R3.1: numbers are in frames as shifts say, which no host's byte order changes")
{
    const auto check = [](auto number) {
        using T = decltype(number);
        std::array<std::byte, sizeof(T) + 1> bytes = {};
        p2prdma::l2::store_big(&bytes[1], number); // unaligned
        for (std::size_t i = 0; i < sizeof(T); i++)
            CHECK(std::to_integer<unsigned>(bytes[1 + i]) ==
                  (number >> 8 * (sizeof(T) - 1 - i) & 0xffU));
        CHECK(p2prdma::l2::load_big<T>(&bytes[1]) == number);
    };
    check(std::uint8_t{0xfe});
    check(std::uint16_t{0x0123});
    check(std::uint32_t{0x89abcdef});
    check(std::uint64_t{0x0123456789abcdef});
}
