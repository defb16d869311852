// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/handshake.hpp"

#include "p2prdma/l2/queue_pair.hpp"

#include <algorithm>

namespace p2prdma::l2 {
namespace {

using namespace std::chrono_literals;

constexpr Time first_repeat = 10ms;
constexpr Time longest_repeat = 320ms;
constexpr unsigned max_tries = 20;           // about 5 s
constexpr unsigned max_disconnect_tries = 7; // about 1 s

ConnectionAction repeated(ConnectionState state) noexcept
{
    switch (state) {
    case ConnectionState::request_sent:
        return ConnectionAction::send_request;
    case ConnectionState::reply_sent:
        return ConnectionAction::send_reply;
    case ConnectionState::disconnect_sent:
        return ConnectionAction::send_disconnect;
    default:
        return ConnectionAction::none;
    }
}

Time interval(unsigned tries) noexcept
{
    return std::min<Time>(first_repeat * (1U << std::min(tries, 8U)), longest_repeat);
}

} // namespace

const char* to_string(RejectReason reason) noexcept
{
    switch (reason) {
    case RejectReason::by_application:
        return "the peer's application refused";
    case RejectReason::no_listener:
        return "nobody serves that number there";
    case RejectReason::full:
        return "the peer has no room for another connection";
    case RejectReason::not_sealed:
        return "one end has a secret, and the other has none or another one";
    case RejectReason::bad_request:
        return "the peer does not understand the request";
    }
    return "the peer refused for a reason unknown here";
}

bool Handshake::set_remote(const wire::Connect& remote, std::span<const std::byte> private_data)
{
    if (remote.epoch == 0 || remote.payload_limit == 0 || private_data.size() > max_private_data)
        return false;
    remote_ = remote;
    hinted_ = false;
    features_ = local_.features & remote.features;
    local_.features = features_; // a reply has those agreed on
    peer_data_.assign(private_data.begin(), private_data.end());
    return true;
}

void Handshake::set_reject(const wire::Connect& reject, std::span<const std::byte> private_data)
{
    reject_reason_ = reject.reason;
    hinted_ = false;
    peer_data_.assign(private_data.begin(), private_data.end());
}

ConnectionAction Handshake::happens(ConnectionEvent event, Time now) noexcept
{
    const auto step = connection_step(state_, event);
    if (step.to != state_) {
        if (step.to == ConnectionState::established)
            answer_time_ = now - since_;
        state_ = step.to;
        since_ = now;
        tries_ = 0;
        due_ = now + first_repeat;
    }
    return step.action;
}

ConnectionAction Handshake::repeat(Time now) noexcept
{
    const auto limit =
        state_ == ConnectionState::disconnect_sent ? max_disconnect_tries : max_tries;
    if (++tries_ >= limit)
        return happens(ConnectionEvent::give_up, now);
    due_ = now + interval(tries_);
    return repeated(state_);
}

void Handshake::address(wire::Frame& frame) const noexcept
{
    frame.destination = peer_;
    frame.header.dst_qp = remote_.qp;
    frame.header.epoch = remote_.epoch;
    frame.header.src_tag = remote_.tag;
}

wire::Frame Handshake::frame(ConnectionAction action) const noexcept
{
    constexpr std::array<wire::Opcode, static_cast<std::size_t>(ConnectionAction::count)> opcodes =
        {wire::Opcode::keep_alive,         wire::Opcode::connect_request,
         wire::Opcode::connect_reply,      wire::Opcode::ready_to_use,
         wire::Opcode::disconnect_request, wire::Opcode::disconnect_reply};
    wire::Frame frame;
    address(frame);
    frame.header.opcode = opcodes[static_cast<std::size_t>(action)];
    if (tries_ != 0)
        frame.header.flags = wire::again;
    if (action == ConnectionAction::send_request || action == ConnectionAction::send_reply)
        frame.connect = local_;
    return frame;
}

std::span<const std::byte> Handshake::payload(ConnectionAction action) const noexcept
{
    const bool has =
        action == ConnectionAction::send_request || action == ConnectionAction::send_reply;
    return has ? std::span<const std::byte>(private_data_) : std::span<const std::byte>();
}

} // namespace p2prdma::l2
