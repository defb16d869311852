// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/little_endian.hpp"
#include "tools/p2prdmad/refusal.hpp"

#include <linux/p2prdma_control.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace p2prdma::daemon {

/// A request as the daemon copied it, in the CPU's byte order but for the body.
struct Request {
    std::uint32_t epoch = 0;
    std::uint16_t op = 0;
    std::uint16_t length = 0; ///< as the card says: up to 65535
    std::uint32_t client = 0;
    std::uint32_t id = 0;
    bool zeroes = true; ///< status and what is reserved are 0, as they must be
    std::array<std::byte, P2PRDMA_CONTROL_BODY> bytes = {};

    /// The body. Only for a checked `length`.
    std::span<const std::byte> body() const noexcept { return std::span(bytes).first(length); }
};

/// What is answered: a status, or a body.
struct Reply {
    std::uint32_t status = 0; ///< 0, or an errno
    std::uint16_t length = 0; ///< bytes of the body
    std::array<std::byte, P2PRDMA_CONTROL_BODY> bytes = {};

    static Reply failed(int error)
    {
        Reply reply;
        reply.status = static_cast<std::uint32_t>(error);
        return reply;
    }
    template <typename T>
    static Reply with(const T& body)
    {
        static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= P2PRDMA_CONTROL_BODY);
        Reply reply;
        std::memcpy(reply.bytes.data(), &body, sizeof(T));
        reply.length = sizeof(T);
        return reply;
    }
    static Reply with(std::span<const std::byte> body)
    {
        Reply reply;
        reply.length = static_cast<std::uint16_t>(std::min(body.size(), reply.bytes.size()));
        std::ranges::copy(body.first(reply.length), reply.bytes.begin());
        return reply;
    }
};

/// A body as the structure that its op has. A newer sender's may be longer, if what is unknown is
/// 0.
template <typename T>
T decode(std::span<const std::byte> body)
{
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= P2PRDMA_CONTROL_BODY);
    if (body.size() < sizeof(T))
        throw Refusal(EPROTO, "the request is too short");
    const auto tail = body.subspan(sizeof(T));
    if (std::ranges::any_of(tail, [](std::byte byte) { return byte != std::byte(0); }))
        throw Refusal(EPROTO, "the request has a tail of unknown meaning");
    T value;
    std::memcpy(&value, body.data(), sizeof(T));
    return value;
}

/// A text of fixed size: what is before the first NUL.
template <std::size_t size>
std::string text_of(const __u8 (&bytes)[size])
{
    return {bytes, std::find(bytes, bytes + size, 0)};
}

} // namespace p2prdma::daemon
