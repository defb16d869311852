// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/wire.hpp"
#include "p2prdma/l2/mac_address.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// Frames that only who knows a secret can make: the seal behind the payload, a counter and a
/// Poly1305 tag. Nothing is hidden: frames are authenticated, not encrypted. Specified in
/// Documentation/l2-wire.rst. Thread-safety: one thread at a time for each object.
namespace p2prdma::l2 {

constexpr std::size_t secret_size = 32;
using Secret = std::span<const std::byte, secret_size>;
using ConnectNonce = std::array<std::uint8_t, 16>;

/// The key of one direction; its bytes are erased with it.
class SealKey {
public:
    SealKey() = default;
    SealKey(const SealKey&) = default;
    SealKey& operator=(const SealKey&) = default;
    ~SealKey();
    [[nodiscard]] std::span<std::uint8_t, 32> bytes() noexcept { return bytes_; }
    [[nodiscard]] std::span<const std::uint8_t, 32> bytes() const noexcept { return bytes_; }

private:
    std::array<std::uint8_t, 32> bytes_ = {};
};

struct SealKeys {
    SealKey from_initiator;
    SealKey from_responder;
};

/// The keys of a connection: other nonces, other keys. `initiator`: the nonce of the
/// connect_request, `responder`: of the connect_reply.
[[nodiscard]] SealKeys connection_keys(Secret secret, const ConnectNonce& initiator,
                                       const ConnectNonce& responder) noexcept;

/// The key of frames that have no connection yet: connect_request, connect_reply, reject, discover
/// and offer. Who lacks the secret can neither make one, nor send one from another address; it can
/// repeat one.
[[nodiscard]] SealKey connect_key(Secret secret, const MacAddress& source,
                                  const MacAddress& destination) noexcept;

/// Makes seals; no two with one key may have the same counter.
class Sealer {
public:
    /// \param first_counter  0 with a key of a connection's; with a connect_key(), which all
    ///                       attempts share, 64 random bits for each
    explicit Sealer(const SealKey& key, std::uint64_t first_counter = 0) noexcept
        : key_(key), counter_(first_counter)
    {
    }
    /// \param pieces  header, extensions and payload, which together are what is sealed
    void seal(std::span<const std::span<const std::byte>> pieces,
              std::span<std::byte, wire::seal_size> seal) noexcept;

private:
    SealKey key_;
    std::uint64_t counter_;
};

/// Counters that have been seen, of the newest and those up to `reach` behind it.
class ReplayWindow {
public:
    static constexpr std::uint64_t reach = 1024;

    /// Whether it is neither seen nor too old to be known.
    [[nodiscard]] bool is_new(std::uint64_t counter) const noexcept;
    void add(std::uint64_t counter) noexcept; ///< one that is_new()

private:
    static constexpr std::size_t words = reach / 64 + 1;

    std::uint64_t newest_ = 0;
    std::array<std::uint64_t, words> seen_ = {}; ///< a ring: word counter / 64 % words
};

/// Checks seals, and lets each pass once.
class Opener {
public:
    enum class Result : std::uint8_t { good, forged, replayed };

    explicit Opener(const SealKey& key) noexcept : key_(key) {}
    /// `frame` as parse() made it. A frame without a seal is forged.
    [[nodiscard]] Result open(const wire::Frame& frame) noexcept;

private:
    SealKey key_;
    ReplayWindow window_;
};

/// Whether a frame under a connect_key() is genuine.
[[nodiscard]] bool is_genuine(const SealKey& key, const wire::Frame& frame) noexcept;

} // namespace p2prdma::l2
