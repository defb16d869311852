// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What Connection does when a page is not there.
#include "lib/l2/connection.hpp"

#include <algorithm>
#include <cerrno>

namespace p2prdma::l2 {

namespace {
/// How long an acknowledgement may take until an answer counts as lost whose memory is gone.
constexpr Time unread_patience = std::chrono::milliseconds(100);
} // namespace

std::uint64_t Connection::new_token() noexcept
{
    return std::uint64_t{names_.number} << 32 | ++tokens_;
}

void Connection::forget(Waiting& waiting) noexcept
{
    if (waiting.token != 0)
        context_.pager.forget(waiting.token);
    waiting = {};
}

std::uint32_t Connection::begin_waiting(Waiting& waiting, const Missing& missing, std::uint32_t psn,
                                        Time now) noexcept
{
    context_.counters.add(Counter::faults);
    if (waiting.token != 0)
        context_.pager.forget(waiting.token);
    if (waiting.since == Time::max() || waiting.psn != psn)
        waiting.since = now;
    waiting.psn = psn;
    waiting.token = new_token();
    const auto* const address =
        reinterpret_cast<const void*>(static_cast<std::uintptr_t>(missing.address)); // NOLINT
    return context_.pager.resolve(waiting.token, address, missing.length, missing.need,
                                  missing.ahead);
}

void Connection::page_missing(const Missing& missing, bool response,
                              std::span<const std::byte> bytes, Time now) noexcept
{
    placing_.answer = response;
    if (handshake_.agreed(wire::feature_fault_delay)) {
        const auto estimate = begin_waiting(placing_, missing, receiving_->next(), now);
        if (!receiving_->stall(bytes, estimate, now))
            context_.counters.add(Counter::no_room); // it comes again after the fault
        return;
    }
    // As adapters without fault delay do: dropped, and the peer tries again.
    if (placing_.token == 0 || placing_.psn != receiving_->next())
        (void)begin_waiting(placing_, missing, receiving_->next(), now);
    not_ready(now);
}

void Connection::wait_to_gather(SendWindow::Cookie cookie, const Missing& missing,
                                std::uint32_t psn, Time now) noexcept
{
    gathering_.cookie = cookie;
    stall_estimate_ = std::max(begin_waiting(gathering_, missing, psn, now), 1U);
}

void Connection::resolved(std::uint64_t token, int error, Time now) noexcept
{
    if (token == placing_.token)
        end_placing(error, now);
    else if (token == gathering_.token)
        end_gathering(error, now);
}

void Connection::end_placing(int error, Time now) noexcept
{
    placing_.token = 0;
    if (error != 0) {
        refuse(wire::Syndrome::fault, placing_.answer, now);
        return;
    }
    if (!handshake_.agreed(wire::feature_fault_delay))
        return; // the peer tries again by itself
    receiving_->resolved(now);
    drain(now);
}

void Connection::end_gathering(int error, Time now) noexcept
{
    gathering_.token = 0;
    if (error != 0)
        cannot_gather(gathering_.cookie, wire::Syndrome::fault, Status::local_fault, now);
}

/// Whether the peer may have a frame that is to be sent again, and its acknowledgement may be on
/// its way: who has got the answer to his read may free the memory it was read from.
bool Connection::may_have_arrived(Time now) noexcept
{
    if (!again_)
        return false;
    if (unread_since_ == Time::max() || unread_psn_ != again_->psn)
        unread_since_ = now;
    unread_psn_ = again_->psn;
    return now - unread_since_ < unread_patience;
}

/// The frame's memory cannot be read, ever. \param local  how a request of this end's own ends
void Connection::cannot_gather(SendWindow::Cookie cookie, wire::Syndrome syndrome, Status local,
                               Time now) noexcept
{
    if ((cookie.request & Responder::cookie_bit) == 0) {
        fail_here(cookie.request, local, now);
        return;
    }
    if (may_have_arrived(now)) {
        again_.reset();
        send_probe(now);
        return;
    }
    refuse_at(responder_.request_psn(cookie), syndrome, now);
    fail(requester_.oldest(), Status::flushed, now);
}

/// An access that takes longer than is allowed ends in error.
void Connection::check_faults(Time now) noexcept
{
    const auto limit = context_.options.fault_limit;
    if (placing_.token != 0 && now - placing_.since >= limit) {
        context_.pager.forget(placing_.token);
        end_placing(ETIMEDOUT, now);
    }
    if (gathering_.token != 0 && now - gathering_.since >= limit) {
        context_.pager.forget(gathering_.token);
        end_gathering(ETIMEDOUT, now);
    }
}

} // namespace p2prdma::l2
