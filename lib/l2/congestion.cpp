// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/congestion.hpp"

#include <algorithm>
#include <cmath>

namespace p2prdma::l2 {

namespace {

constexpr float common_frame = 1514;
constexpr float loss_memory = 256; ///< frames
constexpr float loss_with_delay = 0.03F;
constexpr float loss_alone = 0.15F;
constexpr std::uint32_t group_size = 4;
/// The allowance for queueing is the larger, the smaller the window: so all that share a queue end
/// up with windows alike, although each knows the path's least round trip only roughly.
constexpr float fixed_allowance = 40'000;   ///< nanoseconds
constexpr float shared_allowance = 280'000; ///< nanoseconds, for a window of one frame of 1514
constexpr std::uint32_t rounds_between_yields = 64;
constexpr Time most_variation = std::chrono::microseconds(300);

[[nodiscard]] float ratio(Time part, Time whole) noexcept
{
    return static_cast<float>(part.count()) / static_cast<float>(whole.count());
}

} // namespace

Congestion::Congestion(std::uint32_t limit, std::uint32_t frame_bytes) noexcept
    : limit_(static_cast<float>(std::max(limit, 1U))),
      scale_(static_cast<float>(std::max(frame_bytes, 64U)) / common_frame),
      floor_(std::min(limit_, std::max(1.0F, 4 / scale_))),
      window_(std::min(limit_, std::max(1.0F, 10 / scale_))),
      frames_(static_cast<std::uint32_t>(window_))
{
}

void Congestion::delivered(std::uint32_t frames, Time sample, const RoundTrip& round_trip,
                           Time now) noexcept
{
    delivered_ += frames;
    if (sample != Time::zero())
        add(sample);
    if (groups_ != 0 && now - round_began_ >= round_trip.smoothed())
        end_round(round_trip, now);
}

/// The least of a few filters out what a scheduler delays. Always of as many, or he who sends more
/// would see less delay than others behind the same queue.
void Congestion::add(Time sample) noexcept
{
    group_least_ = std::min(group_least_, sample);
    if (++group_ < group_size)
        return;
    sum_ += group_least_;
    ++groups_;
    group_ = 0;
    group_least_ = Time::max();
}

void Congestion::timed_out() noexcept
{
    shrink(0.5F);
    frames_ = static_cast<std::uint32_t>(window_);
}

void Congestion::end_round(const RoundTrip& path, Time now) noexcept
{
    remember_loss();
    const auto round_trip = sum_ / groups_;
    if (yielding_ == 0)
        steer(round_trip, path);
    else if (--yielding_ == 0)
        window_ = std::max(window_, window_before_);
    frames_ = static_cast<std::uint32_t>(window_);
    delivered_ = lost_ = groups_ = 0;
    round_began_ = now;
    sum_ = Time::zero();
    limited_ = false;
}

void Congestion::steer(Time round_trip, const RoundTrip& path) noexcept
{
    const auto delay = round_trip - path.least();
    const auto allowed = allowance(path.variation());
    if (lost_ > 0 && heavy_loss(delay, path.least()))
        shrink(0.7F);
    else if (delay > allowed)
        shrink(1 - std::min(0.5F, 0.8F * ratio(delay - allowed, round_trip)));
    else if (limited_)
        grow(delay < allowed / 4);
    if (++rounds_ >= rounds_between_yields && delay > allowed / 4)
        yield(ratio(path.least(), round_trip));
}

void Congestion::yield(float part) noexcept
{
    rounds_ = 0;
    yielding_ = 2; // in the first the queue drains, in the second all see how long the path is
    window_before_ = window_;
    window_ = std::max(floor_, window_ * part);
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

/// What varies is not a queue's but the hosts' delay, and is allowed, too.
Time Congestion::allowance(Time variation) const noexcept
{
    const auto whole = fixed_allowance + shared_allowance / std::sqrt(window_ * scale_);
    return Time(static_cast<Time::rep>(whole)) + std::min(variation, most_variation);
}

void Congestion::shrink(float factor) noexcept
{
    window_ = std::max(floor_, window_ * factor);
    starting_ = false;
    yielding_ = 0;
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
