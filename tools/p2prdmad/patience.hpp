// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <algorithm>
#include <chrono>

namespace p2prdma::daemon {

/// How long to look for the next request before waiting for the card's bell: a request often comes
/// sooner than a bell and a wake-up take. Not so where the card cannot work while this CPU looks,
/// such as on one core for both: the time follows what worked lately.
class Patience {
public:
    using Clock = std::chrono::steady_clock;
    using Duration = Clock::duration;

    static constexpr Duration longest = std::chrono::milliseconds(1);
    static constexpr Duration shortest = std::chrono::microseconds(50);
    /// A request that comes so soon after the looking ended would have come meanwhile, if it could.
    static constexpr Duration soon = std::chrono::milliseconds(10);
    /// How often it is tried all the same where it did not work.
    static constexpr unsigned probe_requests = 64;

    /// A request was served.
    void served(Clock::time_point now)
    {
        if (now < until_)
            time_ = std::clamp(4 * (now - begun_), shortest, longest);
        else if (now - until_ < soon && tried_ > Duration::zero())
            time_ = time_ / 2 < shortest ? Duration::zero() : time_ / 2;
        tried_ = time_ == Duration::zero() && ++skipped_ % probe_requests == 0 ? longest : time_;
        begun_ = now;
        until_ = now + tried_;
    }
    /// Whether to look rather than to wait.
    [[nodiscard]] bool looking(Clock::time_point now) const { return now < until_; }

private:
    Duration time_ = longest;
    Duration tried_ = Duration::zero();
    Clock::time_point begun_;
    Clock::time_point until_;
    unsigned skipped_ = 0;
};

} // namespace p2prdma::daemon
