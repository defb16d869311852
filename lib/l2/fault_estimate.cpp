// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/fault_estimate.hpp"

#include <algorithm>

namespace p2prdma::l2 {
namespace {

constexpr Time first_guess = std::chrono::microseconds(100);

} // namespace

void FaultEstimate::Average::add(Time duration) noexcept
{
    if (!known) {
        mean = duration;
        deviation = duration / 2;
        known = true;
        return;
    }
    deviation += (std::chrono::abs(duration - mean) - deviation) / 4;
    mean += (duration - mean) / 8;
}

void FaultEstimate::observed(const void* address, Time duration) noexcept
{
    overall_.add(duration);
    const std::uintptr_t area = reinterpret_cast<std::uintptr_t>(address) >> area_shift;
    Average& near = areas_[place(area)];
    if (near.area != area)
        near = {.area = area};
    near.add(duration);
}

std::uint32_t FaultEstimate::microseconds(const void* address) const noexcept
{
    const std::uintptr_t area = reinterpret_cast<std::uintptr_t>(address) >> area_shift;
    const Average& near = areas_[place(area)];
    const Average& best = near.area == area ? near : overall_;
    const Time guess = best.known ? best.mean + 2 * best.deviation : first_guess;
    const auto whole = std::chrono::ceil<std::chrono::microseconds>(guess).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(whole, 1, 1'000'000'000));
}

} // namespace p2prdma::l2
