// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/receive_window.hpp"

#include <algorithm>

namespace p2prdma::l2 {

namespace {

using std::chrono::microseconds;

constexpr std::uint32_t least_estimate = 50; ///< microseconds
/// A delay is told again when it is over, before the peer loses patience, and at least so often.
constexpr Time longest_silence = std::chrono::milliseconds(60);
/// What took longer than estimated is estimated anew: once for a fault that takes ten times longer.
constexpr std::uint32_t estimate_growth = 10;
constexpr std::uint32_t most_grown_estimate = 80'000; ///< microseconds

} // namespace

ReceiveWindow::ReceiveWindow(const Config& config, BufferBudget& budget) noexcept
    : config_(config), held_(config.buffer_limit, budget), next_(config.first_psn & wire::psn_mask),
      farthest_(next_)
{
}

ReceiveWindow::Arrival ReceiveWindow::arrived(const wire::Header& header,
                                              std::span<const std::byte> frame, Time now) noexcept
{
    const auto ahead = wire::psn_distance(next_, header.psn);
    if ((header.flags & wire::ack_request) != 0)
        ack_due_ = true;
    if (ahead == 0 && held_.count() == 0 && state_ != State::refused)
        return Arrival::process;
    return arrived_unexpectedly(ahead, frame, now);
}

ReceiveWindow::Arrival ReceiveWindow::arrived_unexpectedly(std::int32_t ahead,
                                                           std::span<const std::byte> frame,
                                                           Time now) noexcept
{
    if (state_ == State::refused) {
        step(Event::asked, 0, now);
        return Arrival::dropped;
    }
    if (ahead < 0 || held_.holds(next_, static_cast<std::uint32_t>(ahead))) {
        step(Event::asked, 0, now);
        return Arrival::duplicate;
    }
    if (ahead == 0)
        return Arrival::process;
    if (dropping_)
        return Arrival::dropped;
    return hold(static_cast<std::uint32_t>(ahead), frame, now);
}

ReceiveWindow::Arrival ReceiveWindow::hold(std::uint32_t ahead, std::span<const std::byte> frame,
                                           Time now) noexcept
{
    if (!held_.hold(next_, ahead, frame)) {
        step(Event::asked, 0, now);
        return Arrival::dropped;
    }
    // A gap is told at once, whether it opens here or is filled in part; what merely follows is
    // counted like what is processed.
    const auto psn = wire::next_psn(next_, ahead);
    if (psn != farthest_)
        report_due_ = true;
    if (wire::psn_distance(farthest_, psn) >= 0)
        farthest_ = wire::next_psn(psn);
    count_unacknowledged(now);
    if (unacknowledged_ >= config_.ack_frames)
        report_due_ = true;
    return Arrival::held;
}

void ReceiveWindow::count_unacknowledged(Time now) noexcept
{
    if (unacknowledged_++ == 0)
        ack_at_ = now + config_.ack_delay;
}

std::optional<std::span<const std::byte>> ReceiveWindow::held() noexcept
{
    if (state_ == State::faulting || state_ == State::refused || !held_.holds(next_, 0))
        return std::nullopt;
    return held_.frame(next_);
}

void ReceiveWindow::processed(bool message_ends, bool ack_now, Time now) noexcept
{
    if (held_.count() != 0 || state_ != State::fault_free)
        processed_in_trouble(now);
    if (farthest_ == next_)
        farthest_ = wire::next_psn(next_);
    next_ = wire::next_psn(next_);
    messages_ += message_ends;
    dropping_ = false;
    count_unacknowledged(now);
    if (ack_now || unacknowledged_ >= config_.ack_frames)
        ack_due_ = true;
}

void ReceiveWindow::processed_in_trouble(Time now) noexcept
{
    held_.drop(next_);
    report_due_ = true;
    if (state_ != State::fault_free)
        step(Event::processed, 0, now);
}

bool ReceiveWindow::stall(std::span<const std::byte> frame, std::uint32_t estimate_us,
                          Time now) noexcept
{
    if (!config_.fault_delay) {
        not_ready(estimate_us, now);
        return false;
    }
    const auto is_held = held_.holds(next_, 0) || held_.hold(next_, 0, frame);
    if (is_held && farthest_ == next_)
        farthest_ = wire::next_psn(next_);
    step(is_held ? Event::fault : Event::no_room, estimate_us, now);
    return is_held;
}

void ReceiveWindow::resolved(Time now) noexcept
{
    step(Event::resolved, 0, now);
}

bool ReceiveWindow::stalled() const noexcept
{
    return state_ == State::faulting;
}

void ReceiveWindow::not_ready(std::uint32_t wait_us, Time) noexcept
{
    syndrome_ = wire::Syndrome::receiver_not_ready;
    wait_ = wait_us;
    dropping_ = true;
    held_.clear();
    farthest_ = next_;
    report_due_ = true;
}

void ReceiveWindow::refuse(wire::Syndrome syndrome, Time now) noexcept
{
    syndrome_ = syndrome;
    held_.clear();
    step(Event::abort, 0, now);
}

void ReceiveWindow::step(Event event, std::uint32_t estimate_us, Time now) noexcept
{
    const auto& line = fault_states::transition(state_, event);
    state_ = line.next;
    switch (line.action) {
    case Action::none:
        return;
    case Action::delay:
        ++epoch_;
        fault_psn_ = next_;
        resume_due_ = false;
        tell_delay(estimate_us, now);
        break;
    case Action::refresh:
        tell_delay(std::max(estimate_us, grown_estimate()), now);
        break;
    case Action::resume:
        resume_due_ = true;
        timer_at_ = never;
        break;
    case Action::refuse:
        timer_at_ = never;
        break;
    case Action::acknowledge:
    case Action::repeat:
        break;
    }
    report_due_ = true;
}

void ReceiveWindow::tell_delay(std::uint32_t estimate_us, Time now) noexcept
{
    estimate_ = std::max(estimate_us, least_estimate);
    delay_ends_at_ = now + microseconds(estimate_);
    if (state_ == State::faulting)
        timer_at_ = std::min(delay_ends_at_, now + longest_silence);
    else
        timer_at_ = delay_ends_at_;
}

std::uint32_t ReceiveWindow::grown_estimate() const noexcept
{
    if (estimate_ >= most_grown_estimate)
        return estimate_;
    return std::min(estimate_ * estimate_growth, most_grown_estimate);
}

bool ReceiveWindow::ack_due(Time now) const noexcept
{
    return ack_due_ || report_due_ || now >= std::min(ack_at_, timer_at_);
}

Time ReceiveWindow::deadline() const noexcept
{
    return std::min(ack_at_, timer_at_);
}

ReceiveWindow::Report ReceiveWindow::report(Time now) noexcept
{
    if (now >= timer_at_)
        step(Event::timer, 0, now);
    Report report;
    report.ack = piggyback(now);
    report.ack.syndrome = syndrome_;
    report.sack = held_.sack(next_);
    report.fault = fault(now);
    report.congested = held_.is_filling();
    report_due_ = resume_due_ = false;
    if (syndrome_ == wire::Syndrome::receiver_not_ready)
        syndrome_ = wire::Syndrome::none; // said once for each time the frame comes
    return report;
}

wire::Ack ReceiveWindow::piggyback(Time) noexcept
{
    unacknowledged_ = 0;
    ack_at_ = never;
    ack_due_ = false;
    return {.next = next_, .messages = messages_ & wire::psn_mask};
}

std::optional<wire::Fault> ReceiveWindow::fault(Time now) const noexcept
{
    wire::Fault fault = {.epoch = epoch_,
                         .psn = fault_psn_,
                         .buffered = static_cast<std::uint32_t>(held_.bytes()),
                         .window = held_.room()};
    if (syndrome_ == wire::Syndrome::receiver_not_ready) {
        fault.psn = next_;
        fault.estimate = wait_;
        return fault;
    }
    if (state_ == State::faulting || state_ == State::turned_away) {
        const auto left = std::chrono::duration_cast<microseconds>(delay_ends_at_ - now).count();
        fault.estimate = static_cast<std::uint32_t>(std::max<Time::rep>(left, least_estimate));
        return fault;
    }
    if (state_ != State::resuming && !resume_due_)
        return std::nullopt;
    fault.kind = wire::FaultKind::resume;
    return fault;
}

void ReceiveWindow::ask(Time now) noexcept
{
    step(Event::asked, 0, now);
}

std::uint32_t ReceiveWindow::next() const noexcept
{
    return next_;
}

std::size_t ReceiveWindow::buffered() const noexcept
{
    return held_.bytes();
}

} // namespace p2prdma::l2
