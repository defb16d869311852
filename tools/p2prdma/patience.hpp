// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>

#include <poll.h>

namespace p2prdma::tool {

class Interrupt;

/// All waiting of a transfer: it ends with an event, a signal, or after too long without progress.
class Patience {
public:
    using Clock = std::chrono::steady_clock;

    /// Long enough for everyone, and short enough to be added to a point in time.
    static constexpr Clock::duration no_limit = std::chrono::hours(24 * 365 * 10);

    /// `limit`: how long nothing may happen.
    Patience(const Interrupt& interrupt, Clock::duration limit);

    /// Called about once a second while waiting; throws if what is waited for cannot come.
    void watch_over(std::function<void()> check) { check_ = std::move(check); }
    /// From now on nothing may happen for that long; no_limit: for ever.
    void set_limit(Clock::duration limit) noexcept
    {
        limit_ = limit;
        progress();
    }
    /// Something happened: the time starts anew.
    void progress() noexcept { since_ = Clock::now(); }

    /// Waits until one of `events` is ready or `at_most` has passed; true if one is.
    /// \throws Failure interrupted; or peer_lost: "WHAT: nothing happened for N seconds"
    bool wait(std::span<pollfd> events, Clock::duration at_most, const std::string& what);
    /// Waits until one of `events` is ready.
    void wait(std::span<pollfd> events, const std::string& what);
    /// What wait() throws when time is up, for those that do not wait.
    void check(const std::string& what);

private:
    const Interrupt& interrupt_;
    Clock::duration limit_;
    Clock::time_point since_ = Clock::now();
    Clock::time_point checked_ = Clock::now();
    std::function<void()> check_;
};

} // namespace p2prdma::tool
