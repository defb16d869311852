// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/peer_fault.hpp"

#include <algorithm>

namespace p2prdma::l2 {

namespace {
/// An estimate is trusted so many times over before one asks.
constexpr int estimate_factor = 2;
} // namespace

PeerFault::Action PeerFault::step(Event event) noexcept
{
    const auto& line = fault_states::transition(state_, event);
    state_ = line.next;
    return line.action;
}

bool PeerFault::is_old(const wire::Fault& fault) const noexcept
{
    if (!current_)
        return false;
    const auto ahead = wire::psn_distance(psn_, fault.psn);
    const auto newer = static_cast<std::int8_t>(fault.epoch - epoch_);
    return ahead < 0 || (ahead == 0 && (newer < 0 || (newer == 0 && over_)));
}

void PeerFault::remember(const wire::Fault& fault, bool over) noexcept
{
    psn_ = fault.psn;
    epoch_ = fault.epoch;
    current_ = true;
    over_ = over;
}

PeerFault::Action PeerFault::delayed(const wire::Fault& fault, std::uint64_t in_network,
                                     Time now) noexcept
{
    if (is_old(fault))
        return Action::none;
    remember(fault, false);
    const auto estimate = std::chrono::microseconds(fault.estimate);
    timer_at_ = now + std::clamp<Time>(estimate_factor * estimate, shortest_, longest_);
    credit_ = fault.window > in_network ? fault.window - in_network : 0;
    probes_ = 0;
    return step(Event::delay);
}

PeerFault::Action PeerFault::resumed(const wire::Fault& fault, bool is_under_way,
                                     bool& is_news) noexcept
{
    is_news = !is_old(fault) && !(over_ && fault.epoch == epoch_ && fault.psn == psn_);
    if (!is_news)
        return Action::none;
    const auto was_current = current_;
    remember(fault, true);
    current_ = was_current || is_under_way;
    return step(Event::resume);
}

PeerFault::Action PeerFault::acknowledged(std::uint32_t next) noexcept
{
    if (!current_ || wire::psn_distance(psn_, next) <= 0)
        return Action::none;
    current_ = false; // what is late of it is for no frame under way, even after PSNs wrapped
    return step(Event::acknowledged);
}

PeerFault::Action PeerFault::timer() noexcept
{
    return step(probes_ < limit_ ? Event::timer : Event::exhausted);
}

void PeerFault::probed(Time answer_time, Time now) noexcept
{
    const auto wait = answer_time * (1 << std::min(probes_, 16U));
    timer_at_ = now + std::clamp(wait, shortest_, longest_);
    ++probes_;
}

} // namespace p2prdma::l2
