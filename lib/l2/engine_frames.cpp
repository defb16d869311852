// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The part of Engine that frames come to, and those that belong to no connection come from.
#include "lib/l2/engine.hpp"

#include <algorithm>
#include <cstring>

namespace p2prdma::l2 {
namespace {

using namespace std::chrono_literals;

constexpr Time tick_interval = 100ms;
constexpr unsigned strangers_limit = 256; // answers in a tick_interval to who is not connected
constexpr std::size_t offers_limit = 4096;

Counter counter_of(wire::Verdict verdict) noexcept
{
    const auto first = static_cast<unsigned>(Counter::too_short);
    return static_cast<Counter>(first + static_cast<unsigned>(verdict) - 1);
}

bool deserves_no_link(wire::Opcode opcode) noexcept
{
    return opcode <= wire::Opcode::atomic_response || opcode == wire::Opcode::probe ||
           opcode == wire::Opcode::keep_alive || opcode == wire::Opcode::disconnect_request;
}

bool says_no_link(const wire::Frame& frame) noexcept
{
    return frame.header.opcode == wire::Opcode::nak && frame.ack &&
           frame.ack->syndrome == wire::Syndrome::no_link;
}

} // namespace

void Engine::take(std::span<const std::byte> bytes, Time now)
{
    wire::Frame frame;
    const auto verdict = wire::parse(bytes, context_.options.ether_type, frame);
    if (verdict != wire::Verdict::good) {
        context_.counters.add(counter_of(verdict));
        return;
    }
    context_.counters.add(Counter::frames_received);
    context_.counters.add(Counter::bytes_received, bytes.size());
    switch (frame.header.opcode) {
    case wire::Opcode::discover:
        discover_asked(frame, now);
        break;
    case wire::Opcode::offer:
        offer(frame);
        break;
    case wire::Opcode::connect_request:
        connect_request(frame, bytes, now);
        break;
    default:
        if (says_no_link(frame))
            take_no_link(frame, now);
        else
            to_connection(frame, bytes, now);
        break;
    }
}

void Engine::to_connection(const wire::Frame& frame, std::span<const std::byte> bytes, Time now)
{
    auto& counters = context_.counters;
    auto* const connection = table_.find(frame.header.dst_qp);
    if (frame.header.epoch != epoch_ || connection == nullptr) {
        counters.add(frame.header.epoch != epoch_ ? Counter::stale_epoch
                                                  : Counter::unknown_queue_pair);
        no_link(frame, now);
        return;
    }
    if (!(frame.source == connection->peer())) {
        counters.add(Counter::wrong_source);
        return;
    }
    if (frame.header.src_tag != connection->handshake().local().tag) {
        counters.add(Counter::wrong_tag);
        return;
    }
    if (!is_genuine(*connection, frame))
        return;
    const auto before = connection->state();
    connection->received(frame, bytes, now);
    activate(*connection);
    if (before != ConnectionState::established &&
        connection->state() == ConnectionState::established)
        established(*connection, now);
}

bool Engine::is_genuine(Connection& connection, const wire::Frame& frame) noexcept
{
    if (!sealed())
        return true;
    const auto opcode = frame.header.opcode;
    if (opcode == wire::Opcode::connect_reply)
        return opens(frame);
    if (opcode == wire::Opcode::reject) {
        if (context_.opens(frame))
            return true;
        if (connection.take_hint(frame))
            context_.counters.add(Counter::unproven_rejects);
        else
            count_forged(frame);
        return false;
    }
    switch (connection.open(frame)) {
    case Opener::Result::good:
        return true;
    case Opener::Result::forged:
        count_forged(frame);
        break;
    case Opener::Result::replayed:
        context_.counters.add(Counter::replayed);
        break;
    }
    return false;
}

void Engine::count_forged(const wire::Frame& frame) noexcept
{
    const bool has_seal = (frame.header.flags & wire::sealed) != 0;
    context_.counters.add(has_seal ? Counter::bad_seal : Counter::not_sealed);
}

/// Whether a frame that belongs to no connection is from one who knows the secret, if we have one.
bool Engine::opens(const wire::Frame& frame) noexcept
{
    if (!sealed() || context_.opens(frame))
        return true;
    count_forged(frame);
    return false;
}

/// What a peer that restarted had of connections is gone: all but those to its present epoch.
void Engine::peer_restarted(const MacAddress& address, std::uint8_t epoch, Time now) noexcept
{
    table_.for_each([&](Connection& other) {
        const auto known = other.handshake().remote().epoch;
        if (!(other.peer() == address) || known == epoch || known == 0)
            return;
        other.lost(now);
        activate(other);
    });
}

void Engine::established(Connection& connection, Time now)
{
    connection.begin();
    table_.note_peer(connection);
    auto& peer = peers_[connection.peer()];
    const auto epoch = connection.handshake().remote().epoch;
    if (std::exchange(peer.epoch, epoch) != epoch)
        peer_restarted(connection.peer(), epoch, now);
}

void Engine::connect_request(const wire::Frame& frame, std::span<const std::byte> bytes, Time now)
{
    if (!frame.connect || frame.connect->epoch == 0 || frame.connect->qp == 0 ||
        frame.source.is_group() || frame.destination.is_group()) {
        context_.counters.add(Counter::bad_connect);
        return;
    }
    const bool seals = (frame.connect->features & wire::feature_sealed) != 0;
    if (seals != sealed() || !opens(frame)) {
        refuse(frame, RejectReason::not_sealed, now);
        return;
    }
    auto* const known = table_.find(frame.source, frame.connect->qp, [&](const Connection& one) {
        return one.handshake().remote().nonce == frame.connect->nonce;
    });
    if (known != nullptr) {
        known->received(frame, bytes, now); // our answer was lost
        activate(*known);
        return;
    }
    switch (pending_.add(frame.source, *frame.connect, frame.payload, now)) {
    case PendingRequests::Added::added:
    case PendingRequests::Added::known:
        break;
    case PendingRequests::Added::no_listener:
        refuse(frame, RejectReason::no_listener, now);
        break;
    case PendingRequests::Added::full:
        refuse(frame, RejectReason::full, now);
        break;
    }
}

void Engine::refuse(const wire::Frame& request, RejectReason reason, Time now) noexcept
{
    context_.counters.add(Counter::connects_refused);
    if (may_answer_strangers(now))
        send_reject(request.source, *request.connect, reason, {});
}

void Engine::send_unconnected(Draft& draft, bool with_seal) noexcept
{
    auto& outbox = context_.outbox;
    if (outbox.full() && !outbox.flush())
        return; // as good as lost
    if (!with_seal) {
        outbox.push(draft.head, draft.payload, nullptr);
        return;
    }
    auto sealer = context_.unconnected_sealer(draft.head.destination);
    outbox.push(draft.head, draft.payload, &sealer);
}

void Engine::send_reject(const MacAddress& peer, const wire::Connect& request, RejectReason reason,
                         std::span<const std::byte> private_data) noexcept
{
    Draft draft;
    draft.head.destination = peer;
    draft.head.header.opcode = wire::Opcode::reject;
    draft.head.header.dst_qp = request.qp;
    draft.head.header.epoch = request.epoch;
    draft.head.header.src_tag = request.tag;
    draft.head.connect = own();
    draft.head.connect->reason = static_cast<std::uint32_t>(reason);
    draft.head.connect->nonce = request.nonce;
    draft.head.connect->service = request.service;
    if (!private_data.empty())
        draft.payload.add(private_data.first(std::min(private_data.size(), max_private_data)));
    // Who has no secret, or another one, could not open a seal: to him it is a hint.
    send_unconnected(draft, sealed() && reason != RejectReason::not_sealed);
}

/// Nobody makes us send more than so much by frames that belong to no connection.
bool Engine::may_answer_strangers(Time now) noexcept
{
    if (now - strangers_since_ >= tick_interval) {
        strangers_since_ = now;
        strangers_ = 0;
    }
    return strangers_++ < strangers_limit;
}

void Engine::no_link(const wire::Frame& frame, Time now) noexcept
{
    if (!deserves_no_link(frame.header.opcode) || frame.source.is_group() ||
        !may_answer_strangers(now))
        return;
    context_.counters.add(Counter::no_link_sent);
    Draft draft;
    draft.head.destination = frame.source;
    draft.head.header.opcode = wire::Opcode::nak;
    draft.head.header.dst_qp = frame.header.dst_qp;
    draft.head.header.epoch = frame.header.epoch;
    draft.head.header.src_tag = frame.header.src_tag;
    draft.head.header.psn = frame.header.psn;
    draft.head.ack = wire::Ack{.syndrome = wire::Syndrome::no_link, .messages = epoch_};
    send_unconnected(draft);
}

void Engine::take_no_link(const wire::Frame& frame, Time now) noexcept
{
    auto* const connection =
        table_.find(frame.source, frame.header.dst_qp, [&](const Connection& one) {
            const auto& remote = one.handshake().remote();
            return remote.tag == frame.header.src_tag && remote.epoch == frame.header.epoch;
        });
    if (connection == nullptr) {
        context_.counters.add(Counter::unknown_queue_pair);
        return;
    }
    if (!opens(frame))
        return;
    context_.counters.add(Counter::no_link_received);
    const bool was_alive = connection->is_alive(); // else what it says may be old
    connection->lost(now);
    activate(*connection);
    const auto epoch = static_cast<std::uint8_t>(frame.ack->messages);
    if (was_alive && epoch != 0 && epoch != frame.header.epoch)
        peer_restarted(frame.source, epoch, now);
}

Engine::Discovery& Engine::begin_discovery(std::uint32_t service)
{
    auto& discovery = discoveries_.emplace_back(Discovery{.service = service});
    const std::array words = {context_.random(), context_.random()};
    std::memcpy(discovery.nonce.data(), words.data(), discovery.nonce.size());
    return discovery;
}

std::vector<Peer> Engine::end_discovery(Discovery& discovery) noexcept
{
    auto offers = std::move(discovery.offers);
    discoveries_.remove_if([&](const Discovery& one) { return &one == &discovery; });
    return offers;
}

void Engine::ask(const Discovery& discovery, Time now) noexcept
{
    Draft draft;
    draft.head.destination.bytes = MacAddress::broadcast;
    draft.head.header.opcode = wire::Opcode::discover;
    draft.head.connect = own();
    draft.head.connect->service = discovery.service;
    draft.head.connect->nonce = discovery.nonce;
    send_unconnected(draft);
    transmit(now);
}

void Engine::discover_asked(const wire::Frame& frame, Time now) noexcept
{
    if (!frame.connect || frame.source.is_group() || !pending_.serves(frame.connect->service) ||
        !may_answer_strangers(now))
        return;
    Draft draft;
    draft.head.destination = frame.source;
    draft.head.header.opcode = wire::Opcode::offer;
    draft.head.connect = own();
    draft.head.connect->service = frame.connect->service;
    draft.head.connect->nonce = frame.connect->nonce;
    const auto name = std::as_bytes(std::span(context_.options.name));
    if (!name.empty())
        draft.payload.add(name.first(std::min(name.size(), max_private_data)));
    send_unconnected(draft);
}

void Engine::offer(const wire::Frame& frame)
{
    if (!frame.connect || frame.payload.size() > max_private_data)
        return;
    const auto asked =
        std::find_if(discoveries_.begin(), discoveries_.end(),
                     [&](const Discovery& one) { return one.nonce == frame.connect->nonce; });
    if (asked == discoveries_.end() || asked->offers.size() >= offers_limit)
        return;
    for (const auto& one : asked->offers)
        if (one.address == frame.source)
            return;
    const auto& connect = *frame.connect;
    const bool seals = (connect.features & wire::feature_sealed) != 0;
    Peer peer;
    peer.address = frame.source;
    peer.name.assign(reinterpret_cast<const char*>(frame.payload.data()), // NOLINT
                     frame.payload.size());
    peer.service = connect.service;
    peer.frame_limit = connect.payload_limit + Connection::overhead(seals);
    peer.authenticated = sealed() && context_.opens(frame);
    peer.fault_delay = (connect.features & wire::feature_fault_delay) != 0;
    asked->offers.push_back(std::move(peer));
}

// --- a few times a second ----------------------------------------------------

void Engine::tick(Time now) noexcept
{
    next_tick_ = now + tick_interval;
    look_at_port(now);
    pending_.expire(now);
    look_at_peers(now);
}

void Engine::look_at_port(Time now) noexcept
{
    context_.port.look();
    follow_address(now);
    const auto limit = context_.port.frame_limit();
    if (std::exchange(frame_limit_, limit) == limit)
        return;
    table_.for_each([&](Connection& connection) {
        connection.set_frame_limit(limit);
        activate(connection); // a frame may fit now
    });
}

/// A peer knows a connection by our address: those from the old one end, which it is told from
/// there.
void Engine::follow_address(Time now) noexcept
{
    const auto address = context_.port.address();
    if (address == context_.outbox.source() || address.is_zero()) // zero: the interface is gone
        return;
    table_.for_each([&](Connection& connection) {
        connection.moved(now);
        activate(connection);
    });
    context_.outbox.set_source(address);
}

/// A peer is asked for a sign through one of its connections, another each time; its silence ends
/// them all. So ten thousand idle connections to it cost no more frames than one.
void Engine::look_at_peers(Time now) noexcept
{
    for (auto& [address, peer] : peers_) {
        peer.heard = {};
        peer.one = nullptr;
    }
    table_.for_each([&](Connection& connection) {
        if (connection.state() != ConnectionState::established)
            return;
        const auto found = peers_.find(connection.peer());
        if (found == peers_.end())
            return;
        auto& peer = found->second;
        peer.heard = std::max(peer.heard, connection.heard());
        if (peer.one == nullptr ||
            (peer.one->number() <= peer.asked && connection.number() > peer.asked))
            peer.one = &connection;
    });
    // Of whom there is no connection nothing need be known: so there are no more than connections.
    std::erase_if(peers_, [](const auto& peer) { return peer.second.one == nullptr; });
    for (auto& [address, peer] : peers_)
        ask_peer(peer, address, now);
}

void Engine::end_peer(const MacAddress& address, Time now) noexcept
{
    table_.for_each([&](Connection& connection) {
        if (!(connection.peer() == address))
            return;
        connection.lost(now);
        activate(connection);
    });
}

void Engine::ask_peer(PeerState& peer, const MacAddress& address, Time now) noexcept
{
    if (peer.heard > peer.ask_time)
        peer.unanswered = 0;
    if (now - std::max(peer.heard, peer.ask_time) < context_.options.keep_alive)
        return;
    // It may be this end that stood still: who was not asked is not gone.
    if (now - peer.heard >= context_.options.dead_after && peer.unanswered >= 2) {
        end_peer(address, now);
        return;
    }
    peer.ask_time = now;
    ++peer.unanswered;
    peer.asked = peer.one->number();
    (void)peer.one->ask_alive(now);
}

} // namespace p2prdma::l2
