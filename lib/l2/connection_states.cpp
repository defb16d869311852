// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/connection_states.hpp"

namespace p2prdma::l2 {
namespace {

template <class Enum>
using Names = std::array<const char*, static_cast<std::size_t>(Enum::count)>;

constexpr Names<ConnectionState> states = {
    "idle", "request_sent", "reply_sent", "established", "disconnect_sent", "closed", "failed"};
constexpr Names<ConnectionEvent> events = {"connect",
                                           "accept",
                                           "disconnect",
                                           "request",
                                           "reply",
                                           "ready",
                                           "reject",
                                           "disconnect_request",
                                           "disconnect_reply",
                                           "traffic",
                                           "lost",
                                           "give_up",
                                           "failure"};
constexpr Names<ConnectionAction> actions = {
    "none", "send_request", "send_reply", "send_ready", "send_disconnect", "send_disconnect_reply"};
static_assert(states.back() != nullptr && events.back() != nullptr && actions.back() != nullptr);

} // namespace

const char* to_string(ConnectionState state) noexcept
{
    return states[static_cast<std::size_t>(state)];
}

const char* to_string(ConnectionEvent event) noexcept
{
    return events[static_cast<std::size_t>(event)];
}

const char* to_string(ConnectionAction action) noexcept
{
    return actions[static_cast<std::size_t>(action)];
}

} // namespace p2prdma::l2
