// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/relay.hpp"

#include <utility>

namespace p2prdma::daemon {
namespace {

constexpr auto often = std::chrono::milliseconds(1);
constexpr auto seldom = std::chrono::milliseconds(10);
constexpr auto long_without = std::chrono::seconds(1);
/// How long somebody may wait for what was overlooked.
constexpr auto overlooked = std::chrono::milliseconds(100);

} // namespace

Relay::Id Relay::add(Read read, Raise raise, Misses misses)
{
    const auto count = read();
    last_count_ = Clock::now(); // soon there will be something to count
    next_ = last_count_;
    counters_.emplace(++last_id_,
                      Counter{std::move(read), std::move(raise), misses, count, last_count_});
    return last_id_;
}

/// Whether it has counted.
bool Relay::look(Counter& counter, Clock::time_point now) const
{
    const auto before = std::exchange(counter.count, counter.read());
    const bool counted = counter.count != before;
    if (!counted && (counter.misses == Misses::nothing || now - counter.raised < overlooked))
        return false;
    counter.raised = now;
    counter.raise(counter.count.completions != before.completions
                      ? std::optional(counter.count.completions)
                      : std::nullopt);
    return counted;
}

void Relay::serve(Clock::time_point now)
{
    if (counters_.empty() || now < next_)
        return;
    for (auto& [id, counter] : counters_)
        if (look(counter, now))
            last_count_ = now;
    next_ = now + (now - last_count_ < long_without ? often : seldom);
}

std::optional<Clock::time_point> Relay::due() const
{
    if (counters_.empty())
        return std::nullopt;
    return next_;
}

} // namespace p2prdma::daemon
