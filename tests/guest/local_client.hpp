// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

// A client of the card's own machine, whose host is played by tests/guest/control_peer: a request
// is a text for that program.

#include "p2prdma/local_card.hpp"

#include "p2prdma/error.hpp"

#include <linux/p2prdma_local.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include <sys/ioctl.h>

namespace local {

using namespace std::chrono_literals;
using p2prdma::GrantMapping;
using p2prdma::LocalCard;

inline constexpr std::size_t page = 4096;
inline constexpr std::uint32_t op_text = 0x7001; // any that the kernel passes on

/// Polls until `condition` holds; false if it does not within 10 s.
inline bool within(const std::function<bool()>& condition,
                   std::chrono::milliseconds limit = std::chrono::seconds(10))
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

/// The error code that `action` ends with; none if it does not throw.
inline std::error_code code_of(const std::function<void()>& action)
{
    try {
        action();
    } catch (const std::system_error& error) {
        return error.code();
    }
    return {};
}

class Client {
public:
    Client() : card_(LocalCard::open(0U)) {}

    LocalCard& card() { return card_; }
    p2prdma::LocalCardInfo info() const { return card_.info(); }

    LocalCard::Reply try_ask(std::string_view commands, std::string& text,
                             std::chrono::milliseconds timeout = 20s)
    {
        std::array<std::byte, 224> body;
        const auto request = std::as_bytes(std::span(commands));
        const auto reply = card_.call(op_text, request, body, timeout);
        text.assign(reinterpret_cast<const char*>(body.data()), reply.length);
        return reply;
    }

    /// The peer's answer.
    std::string ask(std::string_view commands)
    {
        std::string text;
        try_ask(commands, text);
        return text;
    }

    /// The errno of the raw ioctl that carries `commands`.
    int call_errno(std::string_view commands, std::uint32_t timeout_ms = 20000)
    {
        p2prdma_local_call call = {};
        call.size = sizeof(call);
        call.op = op_text;
        call.timeout_ms = timeout_ms;
        call.request = reinterpret_cast<std::uintptr_t>(commands.data());
        call.request_length = static_cast<std::uint32_t>(commands.size());
        return raw(P2PRDMA_LOCAL_CALL, &call);
    }

    /// How an attempt to map ends: no error, or which.
    std::error_code map_code(std::uint32_t grant, std::size_t length = page, bool writable = true)
    {
        return code_of([&] { static_cast<void>(card_.map(grant, length, writable)); });
    }

    /// 0 or the errno of an ioctl.
    int raw(unsigned long command, void* argument) const
    {
        return ::ioctl(card_.fd(), command, argument) < 0 ? errno : 0;
    }

private:
    LocalCard card_;
};

/// Waits until the host serves the card.
inline void wait_served()
{
    within(
        [] { return LocalCard::open(0U).info().state == p2prdma::LocalCardInfo::State::served; });
}

inline volatile std::uint64_t& word(const GrantMapping& mapping, std::size_t offset = 0)
{
    return *reinterpret_cast<volatile std::uint64_t*>(mapping.span().data() + offset);
}

} // namespace local
