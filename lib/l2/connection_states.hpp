// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace p2prdma::l2 {

enum class ConnectionState : std::uint8_t {
    idle,
    request_sent, ///< active end: repeats its connect_request
    reply_sent,   ///< passive end: repeats its connect_reply
    established,
    disconnect_sent, ///< repeats its disconnect_request
    closed,
    failed,
    count, // goes last
};

enum class ConnectionEvent : std::uint8_t {
    connect, ///< calls of this end: connect, accept, disconnect
    accept,
    disconnect,
    request, ///< frames: the connect_request that was accepted has come again
    reply,
    ready,
    reject,
    disconnect_request,
    disconnect_reply,
    traffic, ///< any other frame of this connection
    lost,    ///< the peer restarted, is silent, or does not know this connection
    give_up, ///< repeated often enough
    failure, ///< a request failed, here or there
    count,   // goes last
};

/// What to send on a transition.
enum class ConnectionAction : std::uint8_t {
    none,
    send_request,
    send_reply,
    send_ready,
    send_disconnect,
    send_disconnect_reply,
    count, // goes last
};

struct ConnectionTransition {
    ConnectionState from;
    ConnectionEvent event;
    ConnectionState to;
    ConnectionAction action = ConnectionAction::none;
};

/// All that may happen; every other event leaves the state, and nothing is sent. A lost
/// ready_to_use is made good by the first frame of the connection, or by the reply that is
/// repeated; a lost disconnect_reply by the answer of the closed end, or by `lost`.
constexpr std::array connection_transitions = [] {
    using enum ConnectionState;
    using Event = ConnectionEvent;
    using Action = ConnectionAction;
    return std::to_array<ConnectionTransition>({
        {idle, Event::connect, request_sent, Action::send_request},
        {idle, Event::accept, reply_sent, Action::send_reply},

        {request_sent, Event::reply, established, Action::send_ready},
        {request_sent, Event::reject, failed},
        {request_sent, Event::give_up, failed},
        {request_sent, Event::disconnect, closed},

        {reply_sent, Event::request, reply_sent, Action::send_reply},
        {reply_sent, Event::ready, established},
        {reply_sent, Event::traffic, established},
        {reply_sent, Event::give_up, failed},
        {reply_sent, Event::lost, failed},
        {reply_sent, Event::disconnect, disconnect_sent, Action::send_disconnect},
        {reply_sent, Event::disconnect_request, closed, Action::send_disconnect_reply},

        {established, Event::reply, established, Action::send_ready},
        {established, Event::disconnect, disconnect_sent, Action::send_disconnect},
        {established, Event::disconnect_request, closed, Action::send_disconnect_reply},
        {established, Event::lost, failed},
        {established, Event::failure, failed},

        {disconnect_sent, Event::disconnect_reply, closed},
        {disconnect_sent, Event::disconnect_request, closed, Action::send_disconnect_reply},
        {disconnect_sent, Event::give_up, closed},
        {disconnect_sent, Event::lost, closed},

        {failed, Event::disconnect, disconnect_sent, Action::send_disconnect},
        {failed, Event::disconnect_request, closed, Action::send_disconnect_reply},
        {closed, Event::disconnect_request, closed, Action::send_disconnect_reply},
    });
}();

struct ConnectionStep {
    ConnectionState to;
    ConnectionAction action;
    bool known; ///< the pair is in the table
};

[[nodiscard]] constexpr ConnectionStep connection_step(ConnectionState from,
                                                       ConnectionEvent event) noexcept
{
    for (const auto& one : connection_transitions)
        if (one.from == from && one.event == event)
            return {one.to, one.action, true};
    return {from, ConnectionAction::none, false};
}

/// States in which a frame is repeated until an answer comes.
[[nodiscard]] constexpr bool repeats(ConnectionState state) noexcept
{
    return state == ConnectionState::request_sent || state == ConnectionState::reply_sent ||
           state == ConnectionState::disconnect_sent;
}

[[nodiscard]] const char* to_string(ConnectionState state) noexcept;
[[nodiscard]] const char* to_string(ConnectionEvent event) noexcept;
[[nodiscard]] const char* to_string(ConnectionAction action) noexcept;

} // namespace p2prdma::l2
