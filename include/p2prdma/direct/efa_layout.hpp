// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

/// How an EFA adapter wants its work requests and writes its completions. All is little-endian.
///
/// Descriptors are put together as 64-bit words in registers and stored as such: queue memory is a
/// device's, and a store of another size would be split or not be combined.
namespace p2prdma::direct::efa {

[[nodiscard]] constexpr std::uint64_t little_endian(std::uint64_t word) noexcept
{
    return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}
[[nodiscard]] constexpr std::uint32_t little_endian(std::uint32_t word) noexcept
{
    return std::endian::native == std::endian::little ? word : __builtin_bswap32(word);
}

/// A word of two halves.
[[nodiscard]] constexpr std::uint64_t pair(std::uint32_t low, std::uint32_t high) noexcept
{
    return low | std::uint64_t{high} << 32;
}

inline constexpr std::uint32_t key_mask = 0xffffff; ///< local keys have 24 bits

/// A work request of the send queue: 4 words of meta data; then, for RDMA, 2 words of remote
/// memory; then local memory or inline data; zeros up to its end, 64 or 128 bytes.
namespace send {

inline constexpr unsigned meta_words = 4;

// Word 0: request id 15:0, control 31:16, the peer's queue pair 47:32, length 63:48: buffers, or
// bytes of inline data.
enum Control : std::uint32_t {
    operation_send = 0u << 16,
    operation_read = 1u << 16,
    operation_write = 2u << 16,
    has_immediate = 1u << 20,
    inline_data = 1u << 21,
    meta_descriptor = 1u << 23, // as are the next two, always set
    first = 1u << 26,
    last = 1u << 27,
    phase = 1u << 24, ///< of the pass over the ring: 0, then 1, then 0 ...
    signalled = 1u << 28,
};
// Word 1: immediate data 31:0, address handle 47:32. Word 2: queue key 31:0. Word 3: 0.
// Remote and local memory: length 31:0 and key 63:32; address.

inline constexpr unsigned max_inline_send_64 = 32;
inline constexpr unsigned max_inline_128 = 80;

} // namespace send

/// A receive buffer: address; request id 15:0, length 31:16, local key 55:32 and two ends.
namespace receive {

inline constexpr std::size_t entry_size = 16;
inline constexpr std::uint32_t max_length = 0xffff;
inline constexpr std::uint32_t first = 1u << 30;
inline constexpr std::uint32_t last = 1u << 31;

} // namespace receive

/// A completion's word 0: request id 15:0, status 23:16, flags 31:24, queue pair 47:32, and of a
/// receive the length's low half 63:48. Its word 1: the sender's address handle 15:0 and queue
/// pair 31:16, immediate data 63:32.
namespace completion {

inline constexpr unsigned status_shift = 16;
inline constexpr std::uint32_t phase = 1u << 24; ///< 1 in the first pass over the ring, then 0 ...
inline constexpr unsigned queue_shift = 25;      ///< two bits
inline constexpr std::uint32_t queue_send = 1;
inline constexpr std::uint32_t queue_receive = 2;
inline constexpr std::uint32_t has_immediate = 1u << 27;
inline constexpr unsigned operation_shift = 28; ///< three bits
inline constexpr std::uint32_t unsolicited = 1u << 31;

} // namespace completion

} // namespace p2prdma::direct::efa
