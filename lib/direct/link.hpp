// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/error.hpp"
#include "p2prdma/local_card.hpp"

#include <linux/p2prdma_control.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <memory>
#include <semaphore>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace p2prdma::direct {

/// A session's way to the host's daemon: typed calls on a LocalCard. Thread-safe.
///
/// Messages are structures of little-endian members: put() and get() translate.
class Link {
public:
    Link(LocalCard card, std::chrono::milliseconds timeout)
        : card_(std::move(card)), timeout_(timeout)
    {
    }

    [[nodiscard]] const LocalCard& card() const noexcept { return card_; }

    /// Asks `op`; `what` completes "the host refused to ..." \throws Error
    template <class Reply, class Request>
    [[nodiscard]] Reply ask(p2prdma_control_op op, const Request& request, const char* what) const
    {
        Reply reply = {};
        const auto length = bytes(op, std::as_bytes(std::span(&request, 1)),
                                  std::as_writable_bytes(std::span(&reply, 1)), timeout_, what);
        if (length < sizeof(reply))
            throw Error(Errc::host_mismatch,
                        std::string("the host's answer is too short when asked to ") + what);
        return reply;
    }
    /// The same for bodies that are no structures; returns the bytes of the answer.
    std::size_t bytes(p2prdma_control_op op, std::span<const std::byte> request,
                      std::span<std::byte> reply, std::chrono::milliseconds wait,
                      const char* what) const;
    /// The same, but returns 0 or the errno of a refusal. \throws Error if the host cannot be asked
    [[nodiscard]] int attempt(p2prdma_control_op op, std::span<const std::byte> request,
                              std::span<std::byte> reply, std::chrono::milliseconds wait,
                              std::size_t& length) const;
    [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return timeout_; }

    /// What an errno of a refusal means. `what` completes "the host refused to ..."
    [[nodiscard]] static Error refusal(int error, const char* what);

private:
    LocalCard card_;
    std::chrono::milliseconds timeout_;
    mutable std::counting_semaphore<P2PRDMA_CONTROL_CALLS> calls_{P2PRDMA_CONTROL_CALLS};
};

/// An object of the host's: destroyed with its owner, in silence, as the host may be gone.
class HostObject {
public:
    HostObject(std::shared_ptr<const Link> link, p2prdma_control_op destroy, std::uint32_t id)
        : link_(std::move(link)), destroy_(destroy), id_(id)
    {
    }
    HostObject(const HostObject&) = delete;
    HostObject& operator=(const HostObject&) = delete;
    ~HostObject();

    [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
    [[nodiscard]] const Link& link() const noexcept { return *link_; }
    [[nodiscard]] const std::shared_ptr<const Link>& shared_link() const noexcept { return link_; }

private:
    std::shared_ptr<const Link> link_;
    p2prdma_control_op destroy_;
    std::uint32_t id_;
};

/// Between this CPU and messages; its own inverse.
template <class Integer>
[[nodiscard]] constexpr Integer little(Integer value) noexcept
{
    static_assert(std::is_integral_v<Integer> && (sizeof(Integer) == 4 || sizeof(Integer) == 8));
    if constexpr (std::endian::native == std::endian::little)
        return value;
    else if constexpr (sizeof(Integer) == 4)
        return __builtin_bswap32(value);
    else
        return __builtin_bswap64(value);
}

/// A text of a message: up to its NUL or its end.
template <std::size_t size>
[[nodiscard]] std::string text_of(const __u8 (&text)[size])
{
    return {text, std::find(text, text + size, __u8{0})};
}

/// Puts as much of a text into a message as leaves room for its NUL.
template <std::size_t size>
void set_text(__u8 (&field)[size], std::string_view text)
{
    std::copy_n(text.begin(), std::min(text.size(), size - 1), field);
}

} // namespace p2prdma::direct
