// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/congestion.hpp"

#include <algorithm>

namespace p2prdma::l2 {

namespace {

constexpr float least_window = 4;
constexpr float first_bytes = 15140;
constexpr float loss_memory = 256; ///< frames
constexpr float loss_with_delay = 0.03F;
constexpr float loss_alone = 0.15F;
constexpr Time queueing = std::chrono::microseconds(300); ///< that is tolerated, at least
constexpr float least_scale = 1.0F / 16;
constexpr float scale_growth = 1 + 1.0F / 256; ///< a round

[[nodiscard]] float ratio(Time part, Time whole) noexcept
{
    return static_cast<float>(part.count()) / static_cast<float>(whole.count());
}

} // namespace

Congestion::Congestion(std::uint32_t limit, std::uint32_t frame_bytes) noexcept
    : limit_(static_cast<float>(std::max(limit, 1U))),
      window_(std::min(limit_, std::max(least_window, first_bytes / static_cast<float>(std::max(
                                                                        frame_bytes, 1U)))))
{
}

void Congestion::delivered(std::uint32_t frames, Time sample, const RoundTrip& round_trip,
                           Time now) noexcept
{
    delivered_ += frames;
    if (sample != Time::zero())
        round_least_ = std::min(round_least_, sample);
    if (now - round_began_ >= round_trip.smoothed() && round_trip.known())
        end_round(round_trip, now);
}

void Congestion::timed_out() noexcept
{
    shrink(0.5F);
}

void Congestion::end_round(const RoundTrip& round_trip, Time now) noexcept
{
    remember_loss();
    const auto least = round_trip.least();
    const auto delay = round_least_ == Time::max() ? Time::zero() : round_least_ - least;
    const auto excess = delay - allowance(least);
    if (lost_ > 0 && heavy_loss(delay, least)) {
        allowance_scale_ = std::max(least_scale, allowance_scale_ * 0.7F);
        shrink(0.7F);
    } else if (excess > Time::zero()) {
        shrink(1 - std::min(0.5F, 0.8F * ratio(excess, round_least_)));
    } else if (limited_) {
        grow(delay < allowance(least) / 4);
    }
    allowance_scale_ = std::min(1.0F, allowance_scale_ * scale_growth);
    delivered_ = lost_ = 0;
    round_began_ = now;
    round_least_ = Time::max();
    limited_ = false;
}

void Congestion::remember_loss() noexcept
{
    const auto frames = static_cast<float>(delivered_ + lost_);
    if (frames > 0)
        loss_ += (static_cast<float>(lost_) - loss_ * frames) / (frames + loss_memory);
}

bool Congestion::heavy_loss(Time delay, Time least) const noexcept
{
    return loss_ > loss_alone || (loss_ > loss_with_delay && delay > least / 4);
}

Time Congestion::allowance(Time least) const noexcept
{
    const auto whole = std::max(2 * least, queueing);
    return Time(static_cast<Time::rep>(static_cast<float>(whole.count()) * allowance_scale_));
}

void Congestion::shrink(float factor) noexcept
{
    window_ = std::max(std::min(least_window, limit_), window_ * factor);
    starting_ = false;
}

void Congestion::grow(bool is_path_empty) noexcept
{
    starting_ = starting_ && is_path_empty;
    auto more = 1.0F;
    if (starting_)
        more = static_cast<float>(delivered_);
    else if (is_path_empty)
        more = std::max(1.0F, window_ / 16);
    window_ = std::min(limit_, window_ + more);
}

} // namespace p2prdma::l2
