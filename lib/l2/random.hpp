// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>

namespace p2prdma::l2 {

/// Repeatable pseudo-random numbers (SplitMix64) for simulation and tests; the same on every
/// machine. Not for keys.
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

    [[nodiscard]] std::uint64_t next() noexcept
    {
        std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15);
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }
    /// 0 to limit - 1; `limit` is not 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t limit) noexcept { return next() % limit; }
    /// True with this probability.
    [[nodiscard]] bool chance(double probability) noexcept
    {
        return probability > 0 && static_cast<double>(next() >> 11) < probability * 0x1p53;
    }

private:
    std::uint64_t state_;
};

} // namespace p2prdma::l2
