// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_service.hpp"

#include <concepts>

namespace p2prdma::tool {
namespace {

constexpr std::uint32_t magic = 0x50325253; // "P2RS"
constexpr std::uint32_t version = 1;
constexpr std::size_t body = 8; // after magic and version

template <std::unsigned_integral T>
void put(std::span<std::byte> bytes, std::size_t at, T value) noexcept
{
    for (std::size_t i = 0; i < sizeof(T); i++)
        bytes[at + i] = static_cast<std::byte>(value >> (8 * (sizeof(T) - 1 - i)));
}

template <std::unsigned_integral T>
T get(std::span<const std::byte> bytes, std::size_t at) noexcept
{
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); i++)
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
    return static_cast<T>(value);
}

void put_beginning(std::span<std::byte> bytes) noexcept
{
    put(bytes, 0, magic);
    put(bytes, 4, version);
}

bool has_beginning(std::span<const std::byte> bytes, std::size_t size) noexcept
{
    return bytes.size() >= size && get<std::uint32_t>(bytes, 0) == magic &&
           get<std::uint32_t>(bytes, 4) == version;
}

} // namespace

std::array<std::byte, L2Greeting::encoded_size> L2Greeting::encode() const noexcept
{
    std::array<std::byte, encoded_size> bytes = {};
    put_beginning(bytes);
    put(bytes, body, static_cast<std::uint32_t>(purpose));
    put(bytes, body + 4, size);
    put(bytes, body + 8, window);
    return bytes;
}

std::optional<L2Greeting> L2Greeting::decode(std::span<const std::byte> bytes) noexcept
{
    if (!has_beginning(bytes, encoded_size))
        return std::nullopt;
    const auto purpose = get<std::uint32_t>(bytes, body);
    const L2Greeting greeting = {static_cast<Purpose>(purpose), get<std::uint32_t>(bytes, body + 4),
                                 get<std::uint32_t>(bytes, body + 8)};
    if (purpose < 1 || purpose > 3 || greeting.size > max_size || greeting.window == 0 ||
        greeting.window > max_window ||
        (greeting.purpose == Purpose::echo &&
         std::uint64_t{greeting.size} * greeting.window > max_bytes))
        return std::nullopt;
    return greeting;
}

std::array<std::byte, L2Welcome::encoded_size> L2Welcome::encode() const noexcept
{
    std::array<std::byte, encoded_size> bytes = {};
    put_beginning(bytes);
    put(bytes, body, address);
    put(bytes, body + 8, length);
    put(bytes, body + 16, key);
    return bytes;
}

std::optional<L2Welcome> L2Welcome::decode(std::span<const std::byte> bytes) noexcept
{
    if (!has_beginning(bytes, encoded_size))
        return std::nullopt;
    return L2Welcome{get<std::uint64_t>(bytes, body), get<std::uint64_t>(bytes, body + 8),
                     get<std::uint32_t>(bytes, body + 16)};
}

} // namespace p2prdma::tool
