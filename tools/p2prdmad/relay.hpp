// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/services.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

namespace p2prdma::daemon {

/// What a counter has counted.
struct Count {
    std::uint64_t completions = 0;
    std::uint64_t others = 0; ///< what a waiter must be told of all the same: failures, mostly

    bool operator==(const Count&) const = default;
    Count& operator+=(const Count& more) noexcept
    {
        completions += more.completions;
        others += more.others;
        return *this;
    }
};

/// Raises events on behalf of an adapter that cannot do it by itself. What it counts in memory
/// interrupts nobody, so it is looked at: every millisecond while it counts, more seldom when it
/// has not for long.
class Relay {
public:
    using Id = std::uint64_t;
    /// What was counted until now.
    using Read = std::function<Count()>;
    /// Raises the event, with a new number of completions; or with none: there is something else.
    using Raise = std::function<void(std::optional<std::uint64_t>)>;

    /// What a Read may overlook: nothing, or something now and then. Then the event is raised
    /// from time to time without a cause, so that who waits does not wait for ever.
    enum class Misses { nothing, something };

    Id add(Read read, Raise raise, Misses misses = Misses::nothing);
    void remove(Id id) noexcept { counters_.erase(id); }

    /// Looks at the counters if it is time to.
    void serve(Clock::time_point now);
    /// When serve() is due; nothing: there are no counters.
    std::optional<Clock::time_point> due() const;

private:
    struct Counter {
        Read read;
        Raise raise;
        Misses misses;
        Count count;
        Clock::time_point raised;
    };

    bool look(Counter& counter, Clock::time_point now) const;

    std::map<Id, Counter> counters_;
    Id last_id_ = 0;
    Clock::time_point last_count_ = {};
    Clock::time_point next_ = {};
};

} // namespace p2prdma::daemon
