// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The half of Connection that sends.
#include "lib/l2/connection.hpp"

#include <algorithm>

namespace p2prdma::l2 {
namespace {

constexpr unsigned share = 16; // frames in a row, before the next queue pair's turn

} // namespace

bool Connection::transmit(Time now) noexcept
{
    if (handshake_.due() <= now)
        repeat_handshake(now);
    if (!sending_)
        return false;
    check_faults(now);
    bool more = send_data(now);
    count();
    check_failure(now);
    more = send_reports(now) || more;
    keep_alive(now);
    return more;
}

void Connection::repeat_handshake(Time now) noexcept
{
    act(handshake_.repeat(now));
    if (state() == ConnectionState::failed)
        flush(requester_.oldest(), Status::retry_exceeded);
}

bool Connection::send_data(Time now) noexcept
{
    for (unsigned i = 0; i < share; ++i) {
        if (state() != ConnectionState::established)
            return false;
        if (context_.outbox.full())
            return true;
        if (!send_one(now))
            return false;
    }
    return true;
}

bool Connection::send_reports(Time now) noexcept
{
    if (state() != ConnectionState::established && !refused_)
        return false;
    if (std::exchange(receive_news_, false))
        receiving_->ask(now);
    const bool ack = receiving_->ack_due(now);
    if (context_.outbox.full())
        return ack || stall_estimate_ != 0;
    if (ack)
        send_ack(now);
    if (stall_estimate_ != 0 && !context_.outbox.full())
        send_stall(now);
    return false;
}

/// Requests and answers take turns.
bool Connection::responder_is_next() noexcept
{
    if (!responder_.has_next())
        return false;
    response_turn_ = !response_turn_;
    return response_turn_ || !requester_.has_next();
}

bool Connection::send_one(Time now) noexcept
{
    if (gathering_.token != 0)
        return false;
    if (again_)
        return send_again(now);
    const bool response = responder_is_next();
    const bool fresh = response || requester_.has_next();
    const auto bytes = !fresh ? 0 : response ? responder_.next_bytes() : requester_.next_bytes();
    switch (sending_->next(now, fresh, bytes)) {
    case SendWindow::Next::nothing:
        return false;
    case SendWindow::Next::fresh:
        return send_fresh(response, bytes, now);
    case SendWindow::Next::again:
        again_ = sending_->frame_again(now);
        return send_again(now);
    case SendWindow::Next::probe:
        send_probe(now);
        return true;
    }
    return false;
}

bool Connection::send_fresh(bool response, std::uint32_t bytes, Time now) noexcept
{
    const auto cookie = response ? responder_.next_cookie() : requester_.next_cookie();
    Draft draft;
    if (!build(cookie, sending_->next_psn(), draft, now))
        return false;
    const bool awaited = !response && requester_.wants_ack(cookie);
    const auto psn = sending_->sent(cookie, bytes, now);
    if (response)
        responder_.sent_next(psn);
    else
        requester_.sent_next(psn);
    push_sequenced(draft, psn, awaited, now);
    return true;
}

bool Connection::send_again(Time now) noexcept
{
    Draft draft;
    if (!build(again_->cookie, again_->psn, draft, now))
        return false;
    draft.head.header.flags |= wire::again;
    push_sequenced(draft, again_->psn, false, now);
    again_.reset();
    return true;
}

bool Connection::build(SendWindow::Cookie cookie, std::uint32_t psn, Draft& draft,
                       Time now) noexcept
{
    const bool response = (cookie.request & Responder::cookie_bit) != 0;
    const auto result =
        response ? responder_.build(cookie, draft) : requester_.build(cookie, draft);
    if (result == MemoryAccess::Result::done) {
        gathering_.since = Time::max();
        if (psn == unread_psn_)
            unread_since_ = Time::max();
        return true;
    }
    if (result == MemoryAccess::Result::missing)
        wait_to_gather(cookie, draft.missing, psn, now);
    else
        cannot_gather(cookie, wire::Syndrome::access, Status::local_protection, now);
    return false;
}

void Connection::push_sequenced(Draft& draft, std::uint32_t psn, bool awaited, Time now) noexcept
{
    auto& header = draft.head.header;
    header.psn = psn;
    if (awaited || sending_->wants_ack())
        header.flags |= wire::ack_request;
    // Requests that are answered, and answers, say how far this end is: the peer goes by it.
    const bool must = header.opcode >= wire::Opcode::read_request;
    if (must || unreported_ || receiving_->ack_due(now)) {
        draft.head.ack = receiving_->piggyback(now);
        unreported_ = false;
    }
    handshake_.address(draft.head);
    header.credits = responder_.credits();
    context_.outbox.push(draft.head, draft.payload, sealer());
}

void Connection::send_frame(Draft& draft, Sealer* sealer) noexcept
{
    if (context_.outbox.full() && !context_.outbox.flush())
        return; // as good as lost
    context_.outbox.push(draft.head, draft.payload, sealer);
}

void Connection::send_probe(Time now) noexcept
{
    Draft draft;
    handshake_.address(draft.head);
    draft.head.header.opcode = wire::Opcode::probe;
    draft.head.header.psn = sending_->probe_sent(now);
    send_frame(draft, sealer());
}

void Connection::send_ack(Time now) noexcept
{
    const auto report = receiving_->report(now);
    unreported_ = false;
    Draft draft;
    handshake_.address(draft.head);
    auto& header = draft.head.header;
    header.opcode = wire::Opcode::ack;
    header.credits = responder_.credits();
    if (report.congested)
        header.flags |= wire::congested;
    draft.head.ack = report.ack;
    draft.head.sack = report.sack;
    draft.head.fault = report.fault;
    if (report.ack.syndrome != wire::Syndrome::none) {
        header.opcode = wire::Opcode::nak;
        const bool waits = report.ack.syndrome == wire::Syndrome::receiver_not_ready;
        header.psn = waits ? report.ack.next : refused_psn_;
    }
    send_frame(draft, sealer());
}

/// Tells the peer that this end waits for a page before it can go on sending.
void Connection::send_stall(Time now) noexcept
{
    Draft draft;
    handshake_.address(draft.head);
    draft.head.header.opcode = wire::Opcode::ack;
    draft.head.header.credits = responder_.credits();
    draft.head.ack = receiving_->piggyback(now);
    draft.head.fault = wire::Fault{.kind = wire::FaultKind::stall,
                                   .epoch = stalls_++,
                                   .psn = gathering_.psn,
                                   .estimate = std::exchange(stall_estimate_, 0)};
    send_frame(draft, sealer());
}

bool Connection::ask_alive(Time now) noexcept
{
    if (state() != ConnectionState::established)
        return false;
    alive_asked_ = now;
    Draft draft;
    handshake_.address(draft.head);
    draft.head.header.opcode = wire::Opcode::keep_alive;
    send_frame(draft, sealer());
    return true;
}

/// Waits for something that no timer of the send window watches over, such as a read's answer.
bool Connection::waits_unwatched() const noexcept
{
    return state() == ConnectionState::established && !requester_.idle() &&
           sending_->under_way() == 0;
}

void Connection::keep_alive(Time now) noexcept
{
    if (!waits_unwatched() ||
        now - std::max(last_heard_, alive_asked_) < context_.options.keep_alive)
        return;
    if (alive_asked_ > last_heard_ && now - last_heard_ >= context_.options.dead_after)
        lost(now);
    else
        ask_alive(now);
}

void Connection::check_failure(Time now) noexcept
{
    switch (sending_->failure()) {
    case SendWindow::Failure::none:
        break;
    case SendWindow::Failure::retry_exceeded:
        fail(requester_.oldest(), Status::retry_exceeded, now);
        break;
    case SendWindow::Failure::remote_fault:
        fail_here(requester_.oldest(), Status::remote_fault, now);
        break;
    case SendWindow::Failure::rnr_retry_exceeded:
        fail_here(requester_.oldest(), Status::rnr_retry_exceeded, now);
        break;
    }
}

void Connection::count() noexcept
{
    const auto& now = sending_->counters();
    auto& counters = context_.counters;
    counters.add(Counter::retransmitted, now.again - counted_.again);
    counters.add(Counter::timeouts, now.timeouts - counted_.timeouts);
    counters.add(Counter::tail_probes, now.tail_probes - counted_.tail_probes);
    counters.add(Counter::fault_delays, now.fault_delays - counted_.fault_delays);
    counters.add(Counter::fault_probes, now.fault_probes - counted_.fault_probes);
    counted_ = now;
}

Time Connection::deadline() const noexcept
{
    auto due = handshake_.due();
    if (!sending_)
        return due;
    if (state() == ConnectionState::established) {
        if (gathering_.token == 0)
            due = std::min(due, sending_->deadline());
        if (waits_unwatched())
            due = std::min(due, std::max(last_heard_, alive_asked_) + context_.options.keep_alive);
    }
    if (state() == ConnectionState::established || refused_)
        due = std::min(due, receiving_->deadline());
    for (const auto* waiting : {&placing_, &gathering_})
        if (waiting->token != 0)
            due = std::min<Time>(due, waiting->since + context_.options.fault_limit);
    return due;
}

} // namespace p2prdma::l2
