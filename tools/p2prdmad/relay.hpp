// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/services.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

namespace p2prdma::daemon {

/// Raises events on behalf of an adapter that cannot reach the card's doorbell pages. An adapter's
/// counter in host memory interrupts nobody, so it is looked at: every millisecond while it counts,
/// more seldom when it has not for long.
class Relay {
public:
    using Id = std::uint64_t;
    /// The counter's value now.
    using Read = std::function<std::uint64_t()>;
    /// Raises the event with a value.
    using Raise = std::function<void(std::uint64_t)>;

    Id add(Read read, Raise raise);
    void remove(Id id) noexcept { counters_.erase(id); }

    /// Looks at the counters if it is time to.
    void serve(Clock::time_point now);
    /// When serve() is due; nothing: there are no counters.
    std::optional<Clock::time_point> due() const;

private:
    struct Counter {
        Read read;
        Raise raise;
        std::uint64_t value = 0;
    };

    std::map<Id, Counter> counters_;
    Id last_id_ = 0;
    Clock::time_point last_count_ = {};
    Clock::time_point next_ = {};
};

} // namespace p2prdma::daemon
