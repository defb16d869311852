// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/commands.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace p2prdma::tool {

/// How long things took: a histogram whose quantiles are right to 1 %. Adding allocates nothing.
class Latency {
public:
    using Time = std::chrono::nanoseconds;

    Latency();
    void add(Time time) noexcept;

    std::uint64_t count() const noexcept { return count_; }
    Time min() const noexcept { return count_ ? Time(min_) : Time(0); }
    Time max() const noexcept { return Time(max_); }
    Time mean() const noexcept;
    /// Such that `share` (0 to 1) of all were no longer. 0 if there are none.
    Time quantile(double share) const noexcept;

    /// "min 3.1, mean 3.3, p50 3.2, p99 4.9, max 20.0 us"
    std::string to_string() const;
    /// The same in microseconds.
    Json to_json() const;

private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t min_ = UINT64_MAX;
    std::uint64_t max_ = 0;
};

} // namespace p2prdma::tool
