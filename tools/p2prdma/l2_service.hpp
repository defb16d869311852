// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

// What `p2prdma l2 ping` and `perf` tell `p2prdma l2 serve` and get from it: the private data of
// their connections. Big-endian; both begin with the bytes "P2RS" and a version.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace p2prdma::tool {

/// Of the connection's beginner.
struct L2Greeting {
    enum class Purpose : std::uint8_t {
        echo = 1, ///< each message is sent back, with its immediate
        sink = 2, ///< messages are received, and forgotten
        none = 3, ///< only the served memory is used
    };
    static constexpr std::uint32_t max_size = 8u << 20;
    static constexpr std::uint32_t max_window = 4096;
    static constexpr std::uint64_t max_bytes = 64ull << 20; ///< size * window of an echo

    Purpose purpose = Purpose::none;
    std::uint32_t size = 0;   ///< bytes of a message, 0 to max_size
    std::uint32_t window = 1; ///< messages under way, 1 to max_window

    static constexpr std::size_t encoded_size = 20;
    std::array<std::byte, encoded_size> encode() const noexcept;
    /// Nothing if it is none, or a field is out of range.
    static std::optional<L2Greeting> decode(std::span<const std::byte> bytes) noexcept;
    friend bool operator==(const L2Greeting&, const L2Greeting&) = default;
};

/// Of the server: memory that the other may read and write.
struct L2Welcome {
    std::uint64_t address = 0;
    std::uint64_t length = 0;
    std::uint32_t key = 0;

    static constexpr std::size_t encoded_size = 28;
    std::array<std::byte, encoded_size> encode() const noexcept;
    static std::optional<L2Welcome> decode(std::span<const std::byte> bytes) noexcept;
    friend bool operator==(const L2Welcome&, const L2Welcome&) = default;
};

} // namespace p2prdma::tool
