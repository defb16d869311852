// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/send_window.hpp"

#include <algorithm>

namespace p2prdma::l2 {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// A peer delays acknowledgements by less than this.
constexpr Time least_tail_timeout = microseconds(500);
constexpr Time memory_kept = milliseconds(50);
constexpr std::uint8_t rnr_for_ever = 7;
constexpr std::uint32_t least_peer_frames = 4;
/// A peer needs so much more than a frame's bytes to hold it.
constexpr std::uint32_t holding_overhead = 64;
constexpr Time least_wait = microseconds(10); ///< of a receiver that is not ready
constexpr Time most_wait = std::chrono::seconds(1);
/// An acknowledgement that is further back was never sent.
constexpr std::int32_t oldest_acknowledgement = -(1 << 20);

[[nodiscard]] std::uint32_t frame_limit(const SendWindow::Config& config) noexcept
{
    return std::clamp(config.frames, 1U, PsnRing<int>::limit);
}

} // namespace

SendWindow::SendWindow(const Config& config) noexcept
    : config_(config), flight_(config.first_psn),
      congestion_(frame_limit(config), config.frame_bytes),
      fault_(config.min_timeout, config.fault_cap, config.fault_probes)
{
    limit_to_peer_buffer();
}

void SendWindow::set_frame_bytes(std::uint32_t bytes) noexcept
{
    if (bytes == config_.frame_bytes)
        return;
    config_.frame_bytes = bytes;
    congestion_.set_frame_bytes(bytes);
    limit_to_peer_buffer();
}

/// The peer keeps room for one frame more than it holds, for the one that is due.
void SendWindow::limit_to_peer_buffer() noexcept
{
    const auto limit = frame_limit(config_);
    const auto room = config_.peer_buffer / (config_.frame_bytes + holding_overhead);
    frames_ = std::clamp(room - std::min(room, 1U), std::min(least_peer_frames, limit), limit);
}

SendWindow::Next SendWindow::next(Time now, bool have_fresh, std::uint32_t bytes) noexcept
{
    if (is_in_trouble())
        if (const auto next = next_in_trouble(now, have_fresh, bytes))
            return *next;
    if (now >= timer_at_) {
        if (flight_.count() != 0)
            return loss_timer(now);
        timer_at_ = never;
        flight_.release();
    }
    return have_fresh && has_room() ? Next::fresh : Next::nothing;
}

bool SendWindow::is_in_trouble() const noexcept
{
    return flight_.lost() != 0 || flight_.find_losses_at() != never || fault_.is_waiting() ||
           told_all_at_ != never || paused_until_ != Time::zero() || failure_ != Failure::none;
}

/// Nothing: it goes on as without trouble.
std::optional<SendWindow::Next> SendWindow::next_in_trouble(Time now, bool have_fresh,
                                                            std::uint32_t bytes) noexcept
{
    if (failure_ != Failure::none || now < paused_until_)
        return Next::nothing;
    paused_until_ = Time::zero();
    if (fault_.is_waiting())
        return wait_for_page(now, have_fresh, bytes);
    find_losses(now);
    if (flight_.lost() == 0 || flight_.in_network() >= window())
        return std::nullopt;
    guess_ = false;
    again_psn_ = flight_.first_lost();
    return Next::again;
}

SendWindow::Next SendWindow::wait_for_page(Time now, bool have_fresh, std::uint32_t bytes) noexcept
{
    if (now >= fault_until_) {
        failure_ = Failure::remote_fault;
        return Next::nothing;
    }
    if (now < fault_.timer_at())
        return have_fresh && bytes <= fault_.credit() && has_room() ? Next::fresh : Next::nothing;
    return fault_.timer() == PeerFault::Action::probe ? Next::probe : time_out(now);
}

std::uint32_t SendWindow::window() const noexcept
{
    return testing_ready_ ? 1 : congestion_.window();
}

bool SendWindow::has_room() noexcept
{
    if (flight_.in_network() >= window()) {
        congestion_.limited();
        return false;
    }
    return flight_.count() < frames_ && flight_.reserve();
}

void SendWindow::find_losses(Time now) noexcept
{
    if (told_all_at_ != never) {
        flight_.lose_missing(told_to_, told_all_at_ - std::max(round_trip_.timeout(),
                                                               round_trip_.smoothed() * 5 / 4));
        told_all_at_ = never;
    }
    if (now >= flight_.find_losses_at())
        lost(flight_.find_losses(round_trip_, false, now));
}

/// What the peer had no room for says nothing of the network.
void SendWindow::lost(std::uint32_t frames) noexcept
{
    if (!congested_)
        congestion_.lost(frames);
}

/// Nothing was heard for long: first the tail is sent again, which shows what else is missing.
SendWindow::Next SendWindow::loss_timer(Time now) noexcept
{
    if (tail_probed_)
        return time_out(now);
    tail_probed_ = true;
    ++counters_.tail_probes;
    guess_ = true;
    again_psn_ = flight_.last_missing();
    restart_timer(now);
    return Next::again;
}

/// One frame tells as much as all: what is acknowledged then shows which others are lost.
SendWindow::Next SendWindow::time_out(Time now) noexcept
{
    if (timeouts_ == 0)
        silent_since_ = now;
    // A link that is down for a moment takes longer than the first few timeouts.
    if (timeouts_ >= config_.retries && now - silent_since_ >= config_.patience) {
        failure_ = Failure::retry_exceeded;
        return Next::nothing;
    }
    timeouts_ = static_cast<std::uint8_t>(std::min(timeouts_ + 1, 255));
    ++counters_.timeouts;
    tail_probed_ = true;
    if (timeouts_ > 1)
        congestion_.timed_out_again();
    if (flight_.holds_first())
        flight_.forget_held();
    guess_ = true;
    again_psn_ = flight_.first();
    restart_timer(now);
    return Next::again;
}

std::uint32_t SendWindow::sent(Cookie cookie, std::uint32_t bytes, Time now) noexcept
{
    const auto psn = flight_.push(cookie, now);
    ++counters_.frames;
    if (flight_.count() == 1)
        restart_timer(now);
    if (fault_.is_waiting())
        fault_.spend(bytes);
    ask_ = 4 * ++since_ask_ >= window();
    if (ask_)
        since_ask_ = 0;
    return psn;
}

SendWindow::Again SendWindow::frame_again(Time now) noexcept
{
    flight_.resend(again_psn_, guess_, round_trip_, now);
    ++counters_.again;
    // Others that are sent again and again must not keep the timer from asking for the first.
    if (guess_ || again_psn_ == flight_.first())
        restart_timer(now);
    ask_ = true;
    since_ask_ = 0;
    return {again_psn_, flight_.cookie(again_psn_)};
}

std::uint32_t SendWindow::probe_sent(Time now) noexcept
{
    fault_.probed(tail_timeout(), now);
    ++counters_.fault_probes;
    return flight_.first();
}

bool SendWindow::wants_ack() const noexcept
{
    return ask_;
}

bool SendWindow::acknowledged(const wire::Ack& ack, const wire::Sack* sack, bool congested,
                              Time now) noexcept
{
    const auto ahead = wire::psn_distance(flight_.first(), ack.next);
    if (!is_possible(ahead, sack))
        return false;
    if (ahead < 0)
        return true;                                // a newer one has overtaken it
    const bool has_faulted = fault_since_ != never; // and nothing came since then
    Flight::Delivery delivery;
    if (ahead > 0)
        delivery = advance(static_cast<std::uint32_t>(ahead), now);
    if (has_faulted)
        delivery.sample = delivery.since = Time::zero(); // what waited for a page
    if (sack != nullptr)
        delivery = hold(delivery, *sack, now);
    if (delivery.sample != Time::zero() &&
        (delivery.is_bound || is_of_pause(delivery.sample, now))) {
        round_trip_.bound(delivery.since, delivery.sample, config_.min_timeout, now);
        delivery.sample = Time::zero();
    } else if (delivery.sample != Time::zero()) {
        round_trip_.sample(delivery.sample, now);
    }
    if (delivery.frames != 0) {
        timeouts_ = 0;
        tail_probed_ = false;
        restart_timer(now);
        const auto pause =
            congestion_.delivered(delivery.frames, delivery.sample, round_trip_, now);
        if (now < pause)
            paused_until_ = resumed_at_ = std::max(paused_until_, pause);
    }
    watch_gaps(congested, now);
    return true;
}

/// If an acknowledgement is lost before a pause, the next one comes after it.
bool SendWindow::is_of_pause(Time sample, Time now) const noexcept
{
    return now >= resumed_at_ && now - sample < resumed_at_;
}

bool SendWindow::is_possible(std::int32_t ahead, const wire::Sack* sack) const noexcept
{
    const auto beyond = static_cast<std::int32_t>(flight_.count()) - ahead; // of what was sent
    if (ahead < oldest_acknowledgement || beyond < 0)
        return false;
    if (sack == nullptr || beyond > static_cast<std::int32_t>(wire::sack_bits))
        return true;
    return (*sack >> static_cast<std::size_t>(std::max(beyond - 1, 0))).none();
}

Flight::Delivery SendWindow::advance(std::uint32_t frames, Time now) noexcept
{
    const auto delivery = flight_.advance(frames, round_trip_, now);
    not_readies_ = 0;
    testing_ready_ = false;
    fault_since_ = never;
    fault_acted(fault_.acknowledged(flight_.first()), now);
    return delivery;
}

Flight::Delivery SendWindow::hold(Flight::Delivery before, const wire::Sack& sack,
                                  Time now) noexcept
{
    auto delivery = flight_.hold(sack, round_trip_, now);
    lost(flight_.find_losses(round_trip_, true, now));
    delivery.frames += before.frames;
    if (delivery.sample == Time::zero()) {
        delivery.sample = before.sample;
        delivery.since = before.since;
        delivery.is_bound = before.is_bound;
    }
    return delivery;
}

void SendWindow::watch_gaps(bool congested, Time now) noexcept
{
    if (flight_.held() != 0) {
        congested_ = congested_ || congested;
        return;
    }
    if (congested_)
        told_all(now); // the gap is closed: what is missing was dropped
    congested_ = false;
}

/// As far as a selective acknowledgement reaches.
void SendWindow::told_all(Time now) noexcept
{
    told_all_at_ = now;
    told_to_ = wire::next_psn(flight_.first(), Flight::horizon);
}

bool SendWindow::fault(const wire::Fault& fault, Time now) noexcept
{
    using wire::FaultKind;
    if (fault.kind == FaultKind::stall)
        return true; // of the other direction, as its psn is
    const auto ahead = wire::psn_distance(flight_.first(), fault.psn);
    if (ahead > static_cast<std::int32_t>(flight_.count()))
        return false;
    if (fault.kind == FaultKind::resume) {
        bool is_news = false;
        fault_acted(fault_.resumed(fault, flight_.contains(fault.psn), is_news), now);
        if (is_news)
            told_all(now);
    } else if (flight_.contains(fault.psn) && fault.kind == FaultKind::delay) {
        const auto in_network = std::uint64_t{flight_.in_network()} * config_.frame_bytes;
        fault_acted(fault_.delayed(fault, in_network, now), now);
        limit_fault(microseconds(fault.estimate), now);
    } else if (flight_.contains(fault.psn) && fault.kind == FaultKind::abort) {
        fault_acted(fault_.aborted(), now);
    }
    return true;
}

/// The peer ends it by itself after as long; if it does not, it would hold us for ever.
void SendWindow::limit_fault(Time estimate, Time now) noexcept
{
    if (fault_since_ == never)
        fault_since_ = now;
    fault_until_ = fault_since_ + config_.fault_limit + std::min(estimate, config_.fault_limit);
}

void SendWindow::fault_acted(PeerFault::Action action, Time now) noexcept
{
    using Action = PeerFault::Action;
    if (action == Action::freeze) {
        ++counters_.fault_delays;
    } else if (action == Action::fail) {
        failure_ = Failure::remote_fault;
    } else if (action == Action::thaw) {
        timeouts_ = 0;
        tail_probed_ = false;
        restart_timer(now);
    }
}

bool SendWindow::not_ready(std::uint32_t psn, Time wait, Time now) noexcept
{
    if (!flight_.contains(psn))
        return wire::psn_distance(flight_.first(), psn) < 0;
    if (testing_ready_ && now < paused_until_)
        return true;
    if (config_.rnr_retries != rnr_for_ever && not_readies_ >= config_.rnr_retries) {
        failure_ = Failure::rnr_retry_exceeded;
        return true;
    }
    not_readies_ = static_cast<std::uint8_t>(std::min(not_readies_ + 1, 255));
    ++counters_.rnr_waits;
    fault_acted(fault_.acknowledged(wire::next_psn(psn)), now);
    flight_.lose_from(psn);
    paused_until_ = now + std::clamp(wait, least_wait, most_wait);
    testing_ready_ = true;
    timeouts_ = 0;
    tail_probed_ = false;
    return true;
}

void SendWindow::heard(Time) noexcept
{
    fault_.heard();
}

/// From now on, until something is heard of the frames under way. Without any, until the memory
/// that was kept for the next ones is freed.
void SendWindow::restart_timer(Time now) noexcept
{
    if (flight_.count() == 0)
        timer_at_ = now + memory_kept;
    else
        timer_at_ = now + (tail_probed_ ? timeout() : tail_timeout());
}

Time SendWindow::timeout() const noexcept
{
    const auto once = std::max(round_trip_.timeout(), config_.min_timeout);
    return std::min(once * (1 << std::min<unsigned>(timeouts_, 16)), config_.max_timeout);
}

Time SendWindow::tail_timeout() const noexcept
{
    // So that also a lost tail of the first flight is there after 1 ms, or four round trips.
    if (!round_trip_.known() && round_trip_bound_ >= config_.min_timeout / 2)
        return config_.min_timeout;
    if (!round_trip_.known())
        return std::max(2 * round_trip_bound_, std::min(least_tail_timeout, config_.min_timeout));
    return std::min(std::max(round_trip_.tail_timeout(), least_tail_timeout), config_.max_timeout);
}

Time SendWindow::deadline() const noexcept
{
    if (failure_ != Failure::none)
        return never;
    if (paused_until_ != Time::zero())
        return paused_until_;
    if (fault_.is_waiting())
        return fault_.timer_at();
    if (told_all_at_ != never || (flight_.lost() != 0 && flight_.in_network() < window()))
        return Time::zero();
    return std::min(timer_at_, flight_.find_losses_at());
}

std::uint32_t SendWindow::unacknowledged() const noexcept
{
    return flight_.first();
}

std::uint32_t SendWindow::next_psn() const noexcept
{
    return flight_.next();
}

std::uint32_t SendWindow::under_way() const noexcept
{
    return flight_.count();
}

std::optional<SendWindow::Cookie> SendWindow::cookie(std::uint32_t psn) const noexcept
{
    if (!flight_.contains(psn))
        return std::nullopt;
    return flight_.cookie(psn);
}

SendWindow::Failure SendWindow::failure() const noexcept
{
    return failure_;
}

bool SendWindow::peer_faulting() const noexcept
{
    return fault_.is_waiting();
}

const SendWindow::Counters& SendWindow::counters() const noexcept
{
    return counters_;
}

Time SendWindow::smoothed_round_trip() const noexcept
{
    return round_trip_.smoothed();
}

} // namespace p2prdma::l2
