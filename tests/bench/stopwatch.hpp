// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace bench {

/// Microseconds that an operation takes: the median of `rounds`, after one that is not counted.
template <class Operation>
double median_microseconds(int rounds, Operation operation)
{
    operation(); // the first pays for page tables and caches
    std::vector<double> times;
    for (int i = 0; i < rounds; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        operation();
        const std::chrono::duration<double, std::micro> took =
            std::chrono::steady_clock::now() - begin;
        times.push_back(took.count());
    }
    std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
    return times[static_cast<std::size_t>(rounds / 2)];
}

} // namespace bench
