// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

namespace p2prdma::daemon {

/// A number between the CPU's byte order and that of the control area, either way.
template <std::unsigned_integral T>
constexpr T le(T value) noexcept
{
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1)
        return value;
    else if constexpr (sizeof(T) == 2)
        return static_cast<T>(__builtin_bswap16(value));
    else if constexpr (sizeof(T) == 4)
        return static_cast<T>(__builtin_bswap32(value));
    else
        return static_cast<T>(__builtin_bswap64(value));
}

} // namespace p2prdma::daemon
