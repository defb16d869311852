// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/seal.hpp"

#include "lib/l2/big_endian.hpp"

#include <algorithm>
#include <sodium.h>
#include <string_view>

namespace p2prdma::l2 {
namespace {

constexpr std::size_t counter_size = 8;
using Tag = std::array<std::uint8_t, crypto_onetimeauth_BYTES>;
static_assert(counter_size + crypto_onetimeauth_BYTES == wire::seal_size);
static_assert(crypto_generichash_KEYBYTES == secret_size);

const std::uint8_t* octets(const std::byte* bytes) noexcept
{
    return reinterpret_cast<const std::uint8_t*>(bytes);
}

/// BLAKE2b of a label and two values, with the secret as its key.
void derive(Secret secret, std::string_view label, std::span<const std::uint8_t> one,
            std::span<const std::uint8_t> other, std::span<std::uint8_t> out) noexcept
{
    static const int ready = sodium_init(); // chooses the fastest code
    static_cast<void>(ready);
    crypto_generichash_state state;
    crypto_generichash_init(&state, octets(secret.data()), secret.size(), out.size());
    crypto_generichash_update(&state, octets(std::as_bytes(std::span(label)).data()), label.size());
    crypto_generichash_update(&state, one.data(), one.size());
    crypto_generichash_update(&state, other.data(), other.size());
    crypto_generichash_final(&state, out.data(), out.size());
    sodium_memzero(&state, sizeof state);
}

/// The tag of AEAD_CHACHA20_POLY1305 (RFC 8439, section 2.8) with `pieces` as additional data and
/// no plaintext. The library's own call wants the data in one piece.
class TagMaker {
public:
    TagMaker(const SealKey& key, std::uint64_t counter) noexcept
    {
        std::array<std::byte, crypto_stream_chacha20_ietf_NONCEBYTES> nonce = {};
        store_big(&nonce[4], counter);
        std::array<std::uint8_t, crypto_onetimeauth_KEYBYTES> once = {};
        crypto_stream_chacha20_ietf(once.data(), once.size(), octets(nonce.data()),
                                    key.bytes().data());
        crypto_onetimeauth_init(&state_, once.data());
        sodium_memzero(once.data(), once.size());
    }
    void add(std::span<const std::byte> piece) noexcept
    {
        crypto_onetimeauth_update(&state_, octets(piece.data()), piece.size());
        size_ += piece.size();
    }
    Tag finish() noexcept
    {
        std::array<std::byte, 31> end = {}; // zeros up to 16 bytes, the size, and 0
        const auto padding = (16 - size_ % 16) % 16;
        store_big(&end[padding], byte_swapped(std::uint64_t{size_}));
        crypto_onetimeauth_update(&state_, octets(end.data()), padding + 16);
        Tag tag = {};
        crypto_onetimeauth_final(&state_, tag.data());
        return tag;
    }

private:
    crypto_onetimeauth_state state_;
    std::size_t size_ = 0;
};

bool tag_is_right(const SealKey& key, std::uint64_t counter, const wire::Frame& frame) noexcept
{
    TagMaker maker(key, counter);
    maker.add(frame.sealed_part);
    return crypto_verify_16(maker.finish().data(), octets(&frame.seal[counter_size])) == 0;
}

} // namespace

SealKey::~SealKey()
{
    sodium_memzero(bytes_.data(), bytes_.size());
}

SealKeys connection_keys(Secret secret, const ConnectNonce& initiator,
                         const ConnectNonce& responder) noexcept
{
    std::array<std::uint8_t, 64> both = {};
    derive(secret, "p2prdma-l2 connection", initiator, responder, both);
    SealKeys keys;
    std::copy_n(both.begin(), 32, keys.from_initiator.bytes().begin());
    std::copy_n(both.begin() + 32, 32, keys.from_responder.bytes().begin());
    sodium_memzero(both.data(), both.size());
    return keys;
}

SealKey connect_key(Secret secret, const MacAddress& source, const MacAddress& destination) noexcept
{
    SealKey key;
    derive(secret, "p2prdma-l2 connect", source.bytes, destination.bytes, key.bytes());
    return key;
}

void Sealer::seal(std::span<const std::span<const std::byte>> pieces,
                  std::span<std::byte, wire::seal_size> seal) noexcept
{
    TagMaker maker(key_, counter_);
    for (const auto& piece : pieces)
        maker.add(piece);
    const auto tag = maker.finish();
    store_big(seal.data(), counter_);
    std::ranges::copy(std::as_bytes(std::span(tag)), seal.begin() + counter_size);
    counter_++;
}

bool ReplayWindow::is_new(std::uint64_t counter) const noexcept
{
    if (counter > newest_)
        return true;
    return newest_ - counter < reach && !(seen_[counter / 64 % words] >> counter % 64 & 1);
}

void ReplayWindow::add(std::uint64_t counter) noexcept
{
    // The words between are of counters that have become too old. All together are words - 1.
    const auto from = newest_ / 64;
    const auto skipped =
        counter / 64 > from ? std::min<std::uint64_t>(counter / 64 - from, words) : 0;
    for (std::uint64_t i = 1; i <= skipped; i++)
        seen_[(from + i) % words] = 0;
    newest_ = std::max(newest_, counter);
    seen_[counter / 64 % words] |= std::uint64_t{1} << counter % 64;
}

Opener::Result Opener::open(const wire::Frame& frame) noexcept
{
    if (frame.seal.size() != wire::seal_size)
        return Result::forged;
    const auto counter = load_big<std::uint64_t>(frame.seal.data());
    if (!tag_is_right(key_, counter, frame))
        return Result::forged;
    if (!window_.is_new(counter))
        return Result::replayed;
    window_.add(counter);
    return Result::good;
}

bool is_genuine(const SealKey& key, const wire::Frame& frame) noexcept
{
    return frame.seal.size() == wire::seal_size &&
           tag_is_right(key, load_big<std::uint64_t>(frame.seal.data()), frame);
}

} // namespace p2prdma::l2
