// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/ring.hpp"

#include <cstddef>

namespace p2prdma::daemon {
namespace {

constexpr std::uint32_t slots = P2PRDMA_CONTROL_SLOTS;

constexpr std::size_t host(std::size_t member)
{
    return P2PRDMA_CONTROL_HOST + member;
}

constexpr std::size_t card(std::size_t member)
{
    return P2PRDMA_CONTROL_CARD + member;
}

constexpr std::size_t slot(std::size_t ring, std::uint32_t index)
{
    return ring + (index % slots) * sizeof(p2prdma_message);
}

Request from_wire(const p2prdma_message& message)
{
    Request request;
    request.epoch = le(message.epoch);
    request.op = le(message.op);
    request.length = le(message.length);
    request.client = le(message.client);
    request.id = le(message.id);
    request.zeroes = !message.status && !message.__reserved[0] && !message.__reserved[1] &&
                     !message.__reserved[2];
    std::memcpy(request.bytes.data(), message.body, sizeof(message.body));
    return request;
}

p2prdma_message to_wire(std::uint32_t epoch, const Request& request, const Reply& reply)
{
    p2prdma_message message = {};
    message.epoch = le(epoch);
    message.op = le(request.op);
    message.length = le(reply.length);
    message.client = le(request.client);
    message.id = le(request.id);
    message.status = le(reply.status);
    std::memcpy(message.body, reply.bytes.data(), sizeof(message.body));
    return message;
}

} // namespace

std::optional<Request> RequestRing::take()
{
    const auto head = area_.load32(card(offsetof(p2prdma_control_card, request_head)));
    if (head == tail_)
        return std::nullopt;
    if (head - tail_ > slots)
        throw EpochOver("the card's index of requests is wild");
    Area::acquire();
    p2prdma_message message;
    area_.read(slot(P2PRDMA_CONTROL_REQUESTS, tail_),
               std::as_writable_bytes(std::span(&message, 1)));
    tail_++;
    area_.store32(host(offsetof(p2prdma_control_host, request_tail)), tail_);
    return from_wire(message);
}

std::uint32_t ReplyRing::room() const
{
    const auto tail = area_.load32(card(offsetof(p2prdma_control_card, reply_tail)));
    if (head_ - tail > slots)
        throw EpochOver("the card's index of replies is wild");
    return slots - (head_ - tail);
}

void ReplyRing::put(std::uint32_t epoch, const Request& request, const Reply& reply)
{
    const auto message = to_wire(epoch, request, reply);
    area_.write(slot(P2PRDMA_CONTROL_REPLIES, head_), std::as_bytes(std::span(&message, 1)));
    Area::release();
    head_++;
    area_.store32(host(offsetof(p2prdma_control_host, reply_head)), head_);
}

} // namespace p2prdma::daemon
