// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"

#include <algorithm>

namespace p2prdma::l2 {

/// Estimates of a connection's round-trip time, from samples of frames that were sent once (of
/// others one cannot know which sending was acknowledged).
///
/// Thread-safety: none.
class RoundTrip {
public:
    void sample(Time round_trip, Time now) noexcept;
    /// What a frame that was sent more than once tells: it was acknowledged so long `since` its
    /// last sending, and at most so long after that which was acknowledged. Before the first sample
    /// that is all there is to go by; later, it lets the estimate grow by `step` at most.
    void bound(Time since, Time at_most, Time step, Time now) noexcept;

    [[nodiscard]] bool known() const noexcept { return smoothed_ != Time::zero(); }
    [[nodiscard]] Time smoothed() const noexcept { return smoothed_; }   ///< 0: unknown
    [[nodiscard]] Time variation() const noexcept { return variation_; } ///< mean deviation
    /// The least of the last five to ten seconds; 0: unknown.
    [[nodiscard]] Time least() const noexcept { return std::min(least_, least_before_); }
    /// How long to wait for an acknowledgement before something must be wrong.
    [[nodiscard]] Time timeout() const noexcept { return smoothed_ + 4 * variation_; }
    /// How long to wait before asking what has become of a tail.
    [[nodiscard]] Time tail_timeout() const noexcept { return 2 * smoothed_; }

private:
    void remember_least(Time round_trip, Time now) noexcept;

    Time smoothed_{};
    Time variation_{};
    Time least_{};
    Time least_before_{};
    Time least_since_{};
    bool is_guess_ = false; ///< there was no sample
};

} // namespace p2prdma::l2
