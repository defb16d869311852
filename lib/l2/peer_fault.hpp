// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/fault_states.hpp"
#include "lib/l2/port.hpp"
#include "lib/l2/wire.hpp"

#include <algorithm>
#include <cstdint>

namespace p2prdma::l2 {

/// A sender's knowledge of its peer's page fault: runs fault_states::source_table.
///
/// Thread-safety: none.
class PeerFault {
public:
    using State = fault_states::SourceState;
    using Event = fault_states::SourceEvent;
    using Action = fault_states::SourceAction;

    /// \param shortest, longest  of the wait before a probe
    /// \param probes  unanswered, after which the fault is not believed in any more
    PeerFault(Time shortest, Time longest, unsigned probes) noexcept
        : shortest_(shortest), longest_(longest), limit_(probes)
    {
    }

    [[nodiscard]] State state() const noexcept { return state_; }
    /// Between delay and what ends it: no timeouts, and no frames beyond credit().
    [[nodiscard]] bool is_waiting() const noexcept
    {
        return state_ == State::pf_wait || state_ == State::probing;
    }
    [[nodiscard]] Time timer_at() const noexcept { return timer_at_; }
    /// Bytes that may be sent though the peer waits.
    [[nodiscard]] std::uint64_t credit() const noexcept { return credit_; }
    void spend(std::uint64_t bytes) noexcept { credit_ -= std::min(bytes, credit_); }

    /// A delay for a frame under way. `in_network`: bytes that are on their way to the peer's
    /// buffer already. An old one changes nothing.
    Action delayed(const wire::Fault& fault, std::uint64_t in_network, Time now) noexcept;
    /// A resume. `is_under_way`: its frame was not acknowledged yet. `is_news` is set: whether this
    /// fault's end was not told before.
    Action resumed(const wire::Fault& fault, bool is_under_way, bool& is_news) noexcept;
    /// All before `next` were processed.
    Action acknowledged(std::uint32_t next) noexcept;
    Action aborted() noexcept { return step(Event::abort); }
    /// timer_at() has come.
    Action timer() noexcept;
    /// After Action::probe. `answer_time`: how long an answer may take.
    void probed(Time answer_time, Time now) noexcept;
    /// The peer answers, whatever it says.
    void heard() noexcept { probes_ = 0; }

private:
    Action step(Event event) noexcept;
    [[nodiscard]] bool is_old(const wire::Fault& fault) const noexcept;
    void remember(const wire::Fault& fault, bool over) noexcept;

    Time shortest_;
    Time longest_;
    Time timer_at_{};
    std::uint64_t credit_ = 0;
    std::uint32_t psn_ = 0;
    unsigned limit_;
    unsigned probes_ = 0;
    State state_ = State::sending;
    std::uint8_t epoch_ = 0;
    bool current_ = false; ///< a late message may still be of the fault that psn_ and epoch_ name
    bool over_ = true;     ///< its end was told
};

} // namespace p2prdma::l2
