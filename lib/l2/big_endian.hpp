// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

/// Frames have the same bytes whatever the order of the host: numbers get into them and out of them
/// by these functions only, which swap on a little-endian host and do not on a big-endian one. What
/// is little-endian in a frame (the bits of a Sack, the size in a seal's tag) is swapped once more.
namespace p2prdma::l2 {

/// The same number with its bytes in reverse.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T byte_swapped(T value) noexcept
{
    if constexpr (sizeof(T) == 8)
        return __builtin_bswap64(value);
    else if constexpr (sizeof(T) == 4)
        return __builtin_bswap32(value);
    else if constexpr (sizeof(T) == 2)
        return __builtin_bswap16(value);
    else
        return value;
}

/// Reads a big-endian number; `from` need not be aligned.
template <std::unsigned_integral T>
[[nodiscard]] T load_big(const std::byte* from) noexcept
{
    T value = 0;
    std::memcpy(&value, from, sizeof value);
    return std::endian::native == std::endian::little ? byte_swapped(value) : value;
}

/// Writes a number big-endian; `to` need not be aligned.
template <std::unsigned_integral T>
void store_big(std::byte* to, T value) noexcept
{
    if constexpr (std::endian::native == std::endian::little)
        value = byte_swapped(value);
    std::memcpy(to, &value, sizeof value);
}

} // namespace p2prdma::l2
