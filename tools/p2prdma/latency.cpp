// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/latency.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

namespace p2prdma::tool {
namespace {

// Values below 2^(fine_bits + 1) have a bucket each; above, each octave has 2^fine_bits.
constexpr unsigned fine_bits = 7;
constexpr std::size_t fine = 1u << fine_bits;
constexpr std::size_t buckets = (64 - fine_bits) * fine + fine;

unsigned shift_of(std::uint64_t value) noexcept
{
    const auto width = static_cast<unsigned>(std::bit_width(value));
    return width > fine_bits + 1 ? width - fine_bits - 1 : 0;
}

std::size_t bucket_of(std::uint64_t value) noexcept
{
    const auto shift = shift_of(value);
    return shift * fine + static_cast<std::size_t>(value >> shift);
}

/// The middle of a bucket.
std::uint64_t value_of(std::size_t bucket) noexcept
{
    if (bucket < 2 * fine)
        return bucket;
    const auto shift = bucket / fine - 1;
    const auto low = static_cast<std::uint64_t>(bucket - shift * fine) << shift;
    return low + (std::uint64_t{1} << shift) / 2;
}

double microseconds(Latency::Time time)
{
    return static_cast<double>(time.count()) / 1000;
}

} // namespace

Latency::Latency() : buckets_(buckets) {}

void Latency::add(Time time) noexcept
{
    const auto value = static_cast<std::uint64_t>(std::max<Time::rep>(time.count(), 0));
    buckets_[bucket_of(value)]++;
    count_++;
    sum_ += value;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
}

Latency::Time Latency::mean() const noexcept
{
    return Time(count_ ? sum_ / count_ : 0);
}

Latency::Time Latency::quantile(double share) const noexcept
{
    if (count_ == 0)
        return Time(0);
    const auto wanted = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
    std::uint64_t seen = 0;
    std::size_t bucket = 0;
    for (; bucket < buckets_.size(); bucket++) {
        seen += buckets_[bucket];
        if (seen >= wanted)
            break;
    }
    return Time(std::clamp(value_of(bucket), min_, max_));
}

std::string Latency::to_string() const
{
    char text[160];
    std::snprintf(text, sizeof(text), "min %.1f, mean %.1f, p50 %.1f, p99 %.1f, max %.1f us",
                  microseconds(min()), microseconds(mean()), microseconds(quantile(0.5)),
                  microseconds(quantile(0.99)), microseconds(max()));
    return text;
}

Json Latency::to_json() const
{
    return {{"count", count_},
            {"min", microseconds(min())},
            {"mean", microseconds(mean())},
            {"p50", microseconds(quantile(0.5))},
            {"p99", microseconds(quantile(0.99))},
            {"p999", microseconds(quantile(0.999))},
            {"max", microseconds(max())}};
}

} // namespace p2prdma::tool
