// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/connection.hpp"

#include <algorithm>

namespace p2prdma::l2 {
namespace {

using namespace std::chrono_literals;

constexpr Time disconnect_interval = 1ms; // answers to those who have not heard of the end

bool is_response(wire::Opcode opcode) noexcept
{
    return opcode == wire::Opcode::read_response || opcode == wire::Opcode::atomic_response;
}

bool is_sequenced(wire::Opcode opcode) noexcept
{
    return opcode <= wire::Opcode::atomic_response;
}

} // namespace

Connection::Connection(QueuePairContext& context, const QueuePairSetup& setup,
                       const MacAddress& peer, const wire::Connect& local)
    : context_(context), setup_(setup), names_{local.qp, peer, setup.domain},
      handshake_(peer, local, setup.private_data), requester_(context, names_, setup),
      responder_(context, names_, setup)
{
    setup_.private_data = {}; // the handshake has it
}

Connection::~Connection()
{
    forget(placing_);
    forget(gathering_);
}

std::uint32_t Connection::overhead(bool sealed) noexcept
{
    constexpr std::uint32_t ethernet = 14, most_extensions = 16 + 4 + 8; // of a write's only frame
    return ethernet + wire::header_size + most_extensions + wire::crc_size +
           static_cast<std::uint32_t>(sealed ? wire::seal_size : 0);
}

std::uint32_t Connection::payload_of(std::uint32_t frame_limit, bool sealed) noexcept
{
    const auto around = overhead(sealed);
    return std::min(std::max(frame_limit, around) - around, 0xffffU);
}

void Connection::set_frame_limit(std::uint32_t bytes) noexcept
{
    const auto own = payload_of(bytes, handshake_.agreed(wire::feature_sealed));
    payload_limit_ = std::min<std::uint32_t>(own, handshake_.remote().payload_limit);
    requester_.set_limits(payload_limit_,
                          std::min(handshake_.remote().max_reads, setup_.options.max_reads));
    responder_.set_payload_limit(payload_limit_);
    if (sending_)
        sending_->set_frame_bytes(payload_limit_ +
                                  overhead(handshake_.agreed(wire::feature_sealed)));
}

void Connection::establish(Time now)
{
    SendWindow::Config out;
    out.first_psn = handshake_.local().psn;
    out.retries = setup_.options.retries;
    out.patience = context_.options.dead_after;
    out.fault_limit = context_.options.fault_limit;
    out.rnr_retries = setup_.options.rnr_retries;
    sending_.emplace(out);
    ReceiveWindow::Config in;
    in.first_psn = handshake_.remote().psn;
    in.buffer_limit = context_.options.fault_buffer;
    in.fault_delay = handshake_.agreed(wire::feature_fault_delay);
    receiving_.emplace(in, context_.budget);
    set_frame_limit(context_.port.frame_limit());
    seals_ = make_seals();
    last_heard_ = now;
}

std::unique_ptr<Connection::Seals> Connection::make_seals() const
{
    if (context_.options.secret.empty())
        return nullptr;
    const auto& own = handshake_.local().nonce;
    const auto& peers = handshake_.remote().nonce;
    const auto keys =
        connection_keys(context_.secret(), initiator_ ? own : peers, initiator_ ? peers : own);
    const auto& out = initiator_ ? keys.from_initiator : keys.from_responder;
    const auto& in = initiator_ ? keys.from_responder : keys.from_initiator;
    return std::make_unique<Seals>(Seals{Sealer(out), Opener(in)});
}

Opener::Result Connection::open(const wire::Frame& frame) noexcept
{
    return seals_ ? seals_->opener.open(frame) : Opener::Result::forged;
}

void Connection::connect(Time now) noexcept
{
    initiator_ = true;
    act(handshake_.happens(ConnectionEvent::connect, now));
}

bool Connection::accept(const wire::Connect& request, std::span<const std::byte> private_data,
                        Time now)
{
    if (!handshake_.set_remote(request, private_data))
        return false;
    establish(now);
    act(handshake_.happens(ConnectionEvent::accept, now));
    return true;
}

void Connection::disconnect(Time now) noexcept
{
    flush(requester_.oldest(), Status::flushed);
    act(handshake_.happens(ConnectionEvent::disconnect, now));
}

void Connection::detach() noexcept
{
    detached_ = true;
    requester_.detach();
    responder_.detach();
}

bool Connection::finished() const noexcept
{
    return detached_ && (state() != ConnectionState::disconnect_sent || !sending_);
}

void Connection::prefetch() const noexcept
{
    constexpr std::size_t line = 64;
    for (std::size_t at = 0; at < sizeof *this; at += line)
        __builtin_prefetch(reinterpret_cast<const std::byte*>(this) + at, 1);
}

void Connection::prefetch_queues() const noexcept
{
    requester_.prefetch();
    if (sending_)
        sending_->prefetch();
}

std::errc Connection::post_send(const SendRequest& request) noexcept
{
    if (!is_alive())
        return std::errc::not_connected;
    return requester_.post(request);
}

std::errc Connection::post_receive(const ReceiveRequest& request) noexcept
{
    if (state() == ConnectionState::failed || state() == ConnectionState::closed ||
        state() == ConnectionState::disconnect_sent)
        return std::errc::not_connected;
    const auto error = responder_.post(request);
    receive_news_ = receive_news_ || (error == std::errc() && responder_.was_starved());
    return error;
}

void Connection::act(ConnectionAction action) noexcept
{
    if (action == ConnectionAction::none ||
        (action != ConnectionAction::send_request && handshake_.remote().epoch == 0))
        return;
    Draft draft;
    draft.head = handshake_.frame(action);
    if (const auto data = handshake_.payload(action); !data.empty())
        draft.payload.add(data);
    draft.head.header.credits = responder_.credits();
    const bool first_frames =
        action == ConnectionAction::send_request || action == ConnectionAction::send_reply;
    if (!first_frames || context_.options.secret.empty()) {
        send_frame(draft, sealer());
        return;
    }
    auto unconnected = context_.unconnected_sealer(names_.peer);
    send_frame(draft, &unconnected);
}

void Connection::fail(std::uint32_t request, Status status, Time now) noexcept
{
    if (state() != ConnectionState::established)
        return;
    (void)handshake_.happens(ConnectionEvent::failure, now);
    flush(request, status);
}

/// For a reason of this end's own, which the peer is told.
void Connection::fail_here(std::uint32_t request, Status status, Time now) noexcept
{
    fail(request, status, now);
    act(ConnectionAction::send_disconnect);
}

void Connection::flush(std::uint32_t request, Status status) noexcept
{
    forget(placing_);
    forget(gathering_);
    again_.reset();
    stall_estimate_ = 0;
    requester_.fail(request, status);
    responder_.flush();
}

void Connection::lost(Time now) noexcept
{
    const auto before = state();
    (void)handshake_.happens(ConnectionEvent::lost, now);
    if (state() == before)
        return;
    context_.counters.add(Counter::peers_lost);
    flush(requester_.oldest(), Status::peer_gone);
}

void Connection::moved(Time now) noexcept
{
    if (!is_alive())
        return; // an attempt goes on from the new address
    act(ConnectionAction::send_disconnect);
    lost(now);
}

// --- frames that come in -----------------------------------------------------

void Connection::received(const wire::Frame& frame, std::span<const std::byte> bytes, Time now)
{
    last_heard_ = now;
    if (sending_)
        sending_->heard(now);
    switch (frame.header.opcode) {
    case wire::Opcode::connect_request:
        act(handshake_.happens(ConnectionEvent::request, now));
        break;
    case wire::Opcode::connect_reply:
        take_reply(frame, now);
        break;
    case wire::Opcode::reject:
        take_reject(frame, now);
        break;
    case wire::Opcode::ready_to_use:
        act(handshake_.happens(ConnectionEvent::ready, now));
        break;
    case wire::Opcode::disconnect_request:
        act(handshake_.happens(ConnectionEvent::disconnect_request, now));
        flush(requester_.oldest(), Status::flushed);
        break;
    case wire::Opcode::disconnect_reply:
        (void)handshake_.happens(ConnectionEvent::disconnect_reply, now);
        break;
    default:
        if (sending_)
            connected_frame(frame, bytes, now);
        break;
    }
}

void Connection::take_reply(const wire::Frame& frame, Time now)
{
    if (state() == ConnectionState::request_sent) {
        if (!frame.connect || !handshake_.set_remote(*frame.connect, frame.payload)) {
            context_.counters.add(Counter::bad_connect);
            return;
        }
        establish(now);
    }
    act(handshake_.happens(ConnectionEvent::reply, now));
}

void Connection::take_reject(const wire::Frame& frame, Time now)
{
    if (state() != ConnectionState::request_sent || !frame.connect)
        return;
    handshake_.set_reject(*frame.connect, frame.payload);
    (void)handshake_.happens(ConnectionEvent::reject, now);
    flush(requester_.oldest(), Status::flushed);
}

/// Anybody could have sent it: it ends nothing, and only explains why nobody else answers.
bool Connection::take_hint(const wire::Frame& reject) noexcept
{
    if (state() != ConnectionState::request_sent || !reject.connect ||
        reject.connect->reason != static_cast<std::uint32_t>(RejectReason::not_sealed) ||
        reject.connect->nonce != handshake_.local().nonce)
        return false;
    handshake_.set_hint();
    return true;
}

void Connection::connected_frame(const wire::Frame& frame, std::span<const std::byte> bytes,
                                 Time now)
{
    act(handshake_.happens(ConnectionEvent::traffic, now));
    if (state() != ConnectionState::established && !refused_) {
        context_.counters.add(Counter::wrong_phase);
        if (now - alive_asked_ >= disconnect_interval && state() != ConnectionState::request_sent) {
            alive_asked_ = now;
            act(ConnectionAction::send_disconnect);
        }
        return;
    }
    if (state() == ConnectionState::established)
        take_report(frame, now);
    if (is_sequenced(frame.header.opcode))
        sequenced(frame, bytes, now);
    else if (frame.header.opcode == wire::Opcode::probe ||
             frame.header.opcode == wire::Opcode::keep_alive)
        receiving_->ask(now);
}

void Connection::take_report(const wire::Frame& frame, Time now) noexcept
{
    if (frame.ack)
        take_acknowledgement(frame, now);
    if (frame.header.opcode == wire::Opcode::nak)
        take_nak(frame, now);
    else if (frame.fault && !sending_->fault(*frame.fault, now))
        context_.counters.add(Counter::bad_acknowledgement);
}

void Connection::take_acknowledgement(const wire::Frame& frame, Time now) noexcept
{
    const bool congested = (frame.header.flags & wire::congested) != 0;
    if (!sending_->acknowledged(*frame.ack, frame.sack ? &*frame.sack : nullptr, congested, now)) {
        context_.counters.add(Counter::bad_acknowledgement);
        return;
    }
    requester_.set_credits(frame.header.credits);
    requester_.acknowledged(sending_->unacknowledged());
    responder_.acknowledged(sending_->unacknowledged());
    if (again_ && wire::psn_distance(again_->psn, sending_->unacknowledged()) > 0) {
        again_.reset();
        forget(gathering_); // it was for that frame
    }
}

void Connection::take_nak(const wire::Frame& frame, Time now) noexcept
{
    const auto psn = frame.header.psn;
    const auto syndrome = frame.ack ? frame.ack->syndrome : wire::Syndrome::none;
    if (syndrome == wire::Syndrome::receiver_not_ready) {
        const auto wait = std::chrono::microseconds(frame.fault ? frame.fault->estimate : 0);
        if (!sending_->not_ready(psn, wait, now))
            context_.counters.add(Counter::bad_acknowledgement);
        return;
    }
    if (syndrome == wire::Syndrome::none || syndrome > wire::Syndrome::full)
        return;
    // What is refused may be an answer of ours: then no request of ours is.
    const auto cookie = sending_->cookie(psn);
    const bool of_answer = cookie && (cookie->request & Responder::cookie_bit) != 0;
    constexpr std::array statuses = {Status::remote_operation, Status::remote_operation,
                                     Status::remote_access,    Status::remote_invalid,
                                     Status::remote_operation, Status::remote_fault,
                                     Status::remote_operation};
    fail(requester_.request_at(psn),
         of_answer ? Status::flushed : statuses[static_cast<std::size_t>(syndrome)], now);
}

void Connection::sequenced(const wire::Frame& frame, std::span<const std::byte> bytes,
                           Time now) noexcept
{
    switch (receiving_->arrived(frame.header, bytes, now)) {
    case ReceiveWindow::Arrival::process:
        if (process(frame, bytes, now))
            drain(now);
        break;
    case ReceiveWindow::Arrival::held:
        break;
    case ReceiveWindow::Arrival::duplicate:
        context_.counters.add(Counter::duplicates);
        break;
    case ReceiveWindow::Arrival::dropped:
        context_.counters.add(Counter::no_room);
        break;
    }
}

void Connection::drain(Time now) noexcept
{
    while (const auto held = receiving_->held()) {
        wire::Frame frame;
        // It was parsed when it came: this only finds its parts again.
        if (wire::parse(*held, context_.options.ether_type, frame) != wire::Verdict::good ||
            !process(frame, *held, now))
            return;
    }
}

bool Connection::process(const wire::Frame& frame, std::span<const std::byte> bytes,
                         Time now) noexcept
{
    const bool response = is_response(frame.header.opcode);
    const auto outcome = response ? requester_.response(frame) : responder_.request(frame);
    switch (outcome.kind) {
    case Outcome::Kind::done: {
        const bool ack_now = (frame.header.flags & wire::ack_request) != 0;
        receiving_->processed(outcome.message_ends, ack_now, now);
        unreported_ = true;
        placing_.since = Time::max();
        not_ready_wait_ = 0;
        return true;
    }
    case Outcome::Kind::missing:
        page_missing(outcome.missing, response, bytes, now);
        break;
    case Outcome::Kind::not_ready:
        not_ready(now);
        break;
    case Outcome::Kind::refused:
        refuse(outcome.syndrome, response, now);
        break;
    }
    return false;
}

/// No receive is posted. The peer is asked to wait longer each time.
void Connection::not_ready(Time now) noexcept
{
    constexpr std::uint32_t shortest = 100, longest = 10'000;
    not_ready_wait_ = std::clamp(not_ready_wait_ * 2, shortest, longest);
    context_.counters.add(Counter::receiver_not_ready);
    receiving_->not_ready(not_ready_wait_, now);
}

/// The next frame in order cannot be processed, ever.
void Connection::refuse(wire::Syndrome syndrome, bool response, Time now) noexcept
{
    refuse_at(receiving_->next(), syndrome, now);
    const auto status = !response                               ? Status::flushed
                        : syndrome == wire::Syndrome::fault     ? Status::local_fault
                        : syndrome == wire::Syndrome::operation ? Status::local_protection
                                                                : Status::remote_operation;
    fail(requester_.awaited_request(), status, now);
}

void Connection::refuse_at(std::uint32_t psn, wire::Syndrome syndrome, Time now) noexcept
{
    refused_ = true;
    refused_psn_ = psn;
    context_.counters.add(syndrome == wire::Syndrome::fault ? Counter::fault_aborts
                                                            : Counter::refused);
    receiving_->refuse(syndrome, now);
}

} // namespace p2prdma::l2
