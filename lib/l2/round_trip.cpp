// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/round_trip.hpp"

#include <chrono>

namespace p2prdma::l2 {

namespace {
constexpr Time least_lifetime = std::chrono::seconds(5);
}

void RoundTrip::sample(Time round_trip, Time now) noexcept
{
    round_trip = std::max(round_trip, Time(1));
    if (is_guess_)
        *this = {};
    remember_least(round_trip, now);
    if (!known()) {
        smoothed_ = round_trip;
        variation_ = round_trip / 2;
        return;
    }
    const auto error = round_trip - smoothed_;
    variation_ += (std::chrono::abs(error) - variation_) / 4;
    smoothed_ = std::max(smoothed_ + error / 8, Time(1));
}

/// A path that has become slower is learnt little by little; a loss looks the same.
void RoundTrip::bound(Time since, Time at_most, Time step, Time now) noexcept
{
    if (known() && !is_guess_) {
        sample(std::min(at_most, smoothed_ + step), now);
        return;
    }
    // Some losses in a row, and the first guess would be far too long.
    const auto guess =
        known() ? std::clamp(smoothed_ / 2, since, std::max(since, at_most)) : at_most;
    sample(guess, now);
    is_guess_ = true;
}

void RoundTrip::remember_least(Time round_trip, Time now) noexcept
{
    if (!known()) {
        least_ = least_before_ = round_trip;
        least_since_ = now;
    } else if (now - least_since_ > least_lifetime) {
        // What was before a long silence says nothing of now.
        least_before_ = now - least_since_ > 2 * least_lifetime ? round_trip : least_;
        least_ = round_trip;
        least_since_ = now;
    } else {
        least_ = std::min(least_, round_trip);
    }
}

} // namespace p2prdma::l2
