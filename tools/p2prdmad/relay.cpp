// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/relay.hpp"

#include <utility>

namespace p2prdma::daemon {
namespace {

constexpr auto often = std::chrono::milliseconds(1);
constexpr auto seldom = std::chrono::milliseconds(10);
constexpr auto long_without = std::chrono::seconds(1);

} // namespace

Relay::Id Relay::add(Read read, Raise raise)
{
    const auto value = read();
    counters_.emplace(++last_id_, Counter{std::move(read), std::move(raise), value});
    last_count_ = Clock::now(); // soon there will be something to count
    next_ = last_count_;
    return last_id_;
}

void Relay::serve(Clock::time_point now)
{
    if (counters_.empty() || now < next_)
        return;
    for (auto& [id, counter] : counters_) {
        const auto value = counter.read();
        if (std::exchange(counter.value, value) != value) {
            counter.raise(value);
            last_count_ = now;
        }
    }
    next_ = now + (now - last_count_ < long_without ? often : seldom);
}

std::optional<Clock::time_point> Relay::due() const
{
    if (counters_.empty())
        return std::nullopt;
    return next_;
}

} // namespace p2prdma::daemon
