// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/seal.hpp"

#include "tests/l2/random_frame.hpp"
#include "tests/l2/raw_frame.hpp"

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <set>
#include <sodium.h>

using namespace p2prdma::l2;
using Result = Opener::Result;

namespace {

std::array<std::byte, secret_size> secret_of(int first)
{
    std::array<std::byte, secret_size> secret = {};
    for (auto& byte : secret)
        byte = static_cast<std::byte>(first++);
    return secret;
}

const auto secret = secret_of(1);
const ConnectNonce ours = {1, 2, 3};
const ConnectNonce theirs = {4, 5, 6};
const MacAddress alice = {{2, 0, 0, 0, 0, 1}};
const MacAddress bob = {{2, 0, 0, 0, 0, 2}};

/// A sealed frame of random kind, as on the wire.
std::vector<std::byte> sealed_frame(Sealer& sealer, wire::RandomFrames& frames)
{
    auto frame = frames.next();
    frame.vlan.reset();
    frame.header.flags |= wire::sealed;
    std::array<std::byte, wire::max_prefix> prefix = {};
    const auto size = wire::compose(frame, frame.payload.size(), wire::test_type, prefix);
    const std::array<std::span<const std::byte>, 2> pieces = {
        std::span(prefix).subspan(14, size - 14), frame.payload};
    std::array<std::byte, wire::seal_size> seal = {};
    sealer.seal(pieces, seal);
    frame.seal = seal;
    return wire::raw_frame(frame);
}

wire::Frame parsed(const std::vector<std::byte>& bytes)
{
    wire::Frame frame;
    REQUIRE(wire::parse(bytes, wire::test_type, frame) == wire::Verdict::good);
    return frame;
}

Result open(Opener& opener, const std::vector<std::byte>& bytes)
{
    return opener.open(parsed(bytes));
}

/// What the library's own cipher makes of it.
std::array<std::uint8_t, 16> expected_tag(const SealKey& key, const wire::Frame& frame)
{
    std::array<std::uint8_t, 12> nonce = {};
    std::memcpy(&nonce[4], frame.seal.data(), 8);
    std::array<std::uint8_t, 16> tag = {};
    std::uint8_t nothing = 0;
    crypto_aead_chacha20poly1305_ietf_encrypt_detached(
        &nothing, tag.data(), nullptr, nullptr, 0,
        reinterpret_cast<const std::uint8_t*>(frame.sealed_part.data()), frame.sealed_part.size(),
        nullptr, nonce.data(), key.bytes().data());
    return tag;
}

} // namespace

TEST_CASE("R3.7: a seal is the tag of ChaCha20-Poly1305 over header to payload")
{
    const auto keys = connection_keys(secret, ours, theirs);
    Sealer sealer(keys.from_initiator, 0x0123456789abcdef);
    wire::RandomFrames frames(1);
    for (int i = 0; i < 200; i++) {
        const auto bytes = sealed_frame(sealer, frames);
        const auto frame = parsed(bytes);
        CHECK(load_big<std::uint64_t>(frame.seal.data()) == 0x0123456789abcdef + std::uint64_t(i));
        const auto tag = expected_tag(keys.from_initiator, frame);
        CHECK(wire::same(std::as_bytes(std::span(tag)), frame.seal.subspan(8)));
    }
}

TEST_CASE("R3.7: a sealed frame passes once")
{
    const auto keys = connection_keys(secret, ours, theirs);
    Sealer sealer(keys.from_initiator);
    Opener opener(keys.from_initiator);
    wire::RandomFrames frames(2);
    for (int i = 0; i < 3000; i++) {
        const auto bytes = sealed_frame(sealer, frames);
        CHECK(open(opener, bytes) == Result::good);
        CHECK(open(opener, bytes) == Result::replayed);
    }
}

TEST_CASE("R3.7: no bit of a sealed frame can be turned")
{
    const auto keys = connection_keys(secret, ours, theirs);
    Sealer sealer(keys.from_initiator);
    Opener opener(keys.from_initiator);
    wire::RandomFrames frames(3);
    for (int i = 0; i < 20; i++) {
        auto bytes = sealed_frame(sealer, frames);
        const auto end = bytes.size() - wire::crc_size;
        for (std::size_t bit = 14 * 8; bit < end * 8; bit++) {
            auto changed = bytes;
            changed[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
            wire::mend(changed);
            wire::Frame frame;
            if (wire::parse(changed, wire::test_type, frame) == wire::Verdict::good)
                REQUIRE(opener.open(frame) == Result::forged);
        }
        CHECK(open(opener, bytes) == Result::good); // what was forged has used nothing up
    }
}

TEST_CASE("R3.7: other keys, the other direction and no seal are forged")
{
    const auto keys = connection_keys(secret, ours, theirs);
    wire::RandomFrames frames(4);
    Sealer sealer(keys.from_initiator);
    const auto bytes = sealed_frame(sealer, frames);
    const auto other_secret = secret_of(2);
    const auto swapped = connection_keys(secret, theirs, ours);
    for (const auto& key : {keys.from_responder, swapped.from_initiator, swapped.from_responder,
                            connection_keys(other_secret, ours, theirs).from_initiator,
                            connection_keys(secret, ours, {4, 5, 7}).from_initiator,
                            connection_keys(secret, {1, 2, 4}, theirs).from_initiator,
                            connect_key(secret, alice, bob)}) {
        Opener opener(key);
        CHECK(open(opener, bytes) == Result::forged);
    }
    Opener opener(keys.from_initiator);
    wire::Frame bare;
    CHECK(opener.open(bare) == Result::forged);
    CHECK_FALSE(is_genuine(keys.from_initiator, bare));
}

TEST_CASE("R3.7: a connect frame is bound to its addresses")
{
    wire::RandomFrames frames(5);
    Sealer sealer(connect_key(secret, alice, bob), 77);
    const auto bytes = sealed_frame(sealer, frames);
    CHECK(is_genuine(connect_key(secret, alice, bob), parsed(bytes)));
    CHECK_FALSE(is_genuine(connect_key(secret, bob, alice), parsed(bytes)));
    CHECK_FALSE(is_genuine(connect_key(secret, bob, bob), parsed(bytes)));
    CHECK_FALSE(is_genuine(connect_key(secret_of(9), alice, bob), parsed(bytes)));
}

TEST_CASE("R3.7: the replay window forgets nothing that it may still let pass")
{
    std::mt19937_64 random(6);
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t newest = 0;
    for (int i = 0; i < 200'000; i++) {
        const std::uint64_t jump = i % 1000 == 0 ? 1'000'000 : i % 50 == 0 ? 1500 : 40;
        const std::uint64_t base =
            random() % 3 ? newest : newest - std::min(newest, random() % 1100);
        const auto counter = base + random() % jump;
        const bool recent = counter > newest || newest - counter < ReplayWindow::reach;
        REQUIRE(window.is_new(counter) == (recent && !seen.contains(counter)));
        if (!window.is_new(counter))
            continue;
        window.add(counter);
        seen.insert(counter);
        newest = std::max(newest, counter);
    }
    window.add(~std::uint64_t{0});
    CHECK_FALSE(window.is_new(~std::uint64_t{0}));
    CHECK(window.is_new(~std::uint64_t{0} - 1));
    CHECK_FALSE(window.is_new(0));
}
