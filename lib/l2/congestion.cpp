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
constexpr float fixed_allowance = 20'000;   ///< nanoseconds
constexpr float shared_allowance = 160'000; ///< nanoseconds, for a window of one frame of 1514
constexpr float loss_that_halves = 0.02F;   ///< ...the allowance
constexpr float jumbo_allowance = 0.125F;   ///< so much more of the fixed one for each 1514 bytes
/// What varies is not a queue's but the hosts' delay: so many times the variation is allowed.
constexpr int allowed_variations = 2;
constexpr Time most_variation = std::chrono::milliseconds(20);
/// The least round trip of a segment is some ten microseconds. A longer one than this, if so many
/// yields have not found a shorter one, is the hosts', which are emulated, say: they have to be
/// woken, and are the faster the more there is to do each time. Their queues are their own, and may
/// be of so many least round trips.
constexpr float slow_hosts = 80'000;       ///< nanoseconds
constexpr float slow_hosts_frame = 20'000; ///< nanoseconds: so much more for each 1514 bytes
constexpr unsigned slow_hosts_yields = 3;
constexpr int slow_hosts_round_trips = 16;
/// A queue stands if the path was not seen empty for so many round trips; hosts that run now and
/// then answer at once in between. It was empty just now if it was seen so lately.
constexpr int standing_round_trips = 8;
constexpr int recent_round_trips = 2;

constexpr Time yield_period = std::chrono::milliseconds(20);
/// Where the hosts are slow, so many round trips, if that is longer.
constexpr int slow_hosts_period = 64;
/// A yield that is due so soon may as well be now, and the first one comes so soon.
constexpr Time yield_soon = yield_period / 2;
/// In round trips, since not all begin to yield at once: when all have stopped and the queue is
/// gone, in how long from then each sends one frame, and when all have seen the empty path.
constexpr float yield_drained = 1.5F;
constexpr float yield_spread = 0.5F;
constexpr float yield_over = 2.5F;

[[nodiscard]] float ratio(Time part, Time whole) noexcept
{
    return static_cast<float>(part.count()) / static_cast<float>(whole.count());
}

[[nodiscard]] Time times(Time one, float factor) noexcept
{
    return Time(static_cast<Time::rep>(static_cast<float>(one.count()) * factor));
}

[[nodiscard]] float scale_of(std::uint32_t frame_bytes) noexcept
{
    return static_cast<float>(std::max(frame_bytes, 64U)) / common_frame;
}

} // namespace

Congestion::Congestion(std::uint32_t limit, std::uint32_t frame_bytes) noexcept
    : limit_(static_cast<float>(std::max(limit, 1U))), scale_(scale_of(frame_bytes)),
      floor_(std::min(limit_, std::max(1.0F, 4 / scale_))),
      window_(std::min(limit_, std::max(1.0F, 10 / scale_))),
      frames_(static_cast<std::uint32_t>(window_)), near_(allowance({}) / 4), period_(yield_soon)
{
}

void Congestion::set_frame_bytes(std::uint32_t frame_bytes) noexcept
{
    const auto bytes = window_ * scale_;
    scale_ = scale_of(frame_bytes);
    floor_ = std::min(limit_, std::max(1.0F, 4 / scale_));
    window_ = std::clamp(bytes / scale_, floor_, limit_);
    frames_ = static_cast<std::uint32_t>(window_);
}

Time Congestion::delivered(std::uint32_t frames, Time sample, const RoundTrip& path,
                           Time now) noexcept
{
    delivered_ += frames;
    if (sample == Time::zero())
        return Time::zero();
    if (yielding_)
        return now - sample >= alone_from_ ? end_yield(path, now) : Time::zero();
    add(sample);
    if (groups_ != 0 && now - round_began_ >= path.smoothed())
        end_round(path, now);
    return is_turn_to_yield(sample, path, now) ? yield(path, now) : Time::zero();
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

void Congestion::timed_out_again() noexcept
{
    shrink(0.5F);
    frames_ = static_cast<std::uint32_t>(window_);
}

void Congestion::end_round(const RoundTrip& path, Time now) noexcept
{
    remember_loss();
    steer(sum_ / groups_, path, now);
    begin_round(now);
}

void Congestion::begin_round(Time now) noexcept
{
    frames_ = static_cast<std::uint32_t>(window_);
    delivered_ = lost_ = groups_ = group_ = 0;
    group_least_ = Time::max();
    round_began_ = now;
    sum_ = Time::zero();
    limited_ = false;
}

void Congestion::steer(Time round_trip, const RoundTrip& path, Time now) noexcept
{
    const auto delay = round_trip - path.least();
    const auto allowed = allowance(path);
    near_ = allowed / 4;
    if (lost_ > 0 && heavy_loss(delay, path.least()))
        shrink(0.7F);
    else if (delay > allowed && now - empty_at_ > standing_round_trips * path.smoothed())
        shrink(1 - std::min(0.5F, 0.8F * ratio(delay - allowed, round_trip)));
    else if (limited_)
        grow(now - empty_at_ < recent_round_trips * path.smoothed(),
             are_hosts_slow(path) ? slow_hosts_rounds(path, now) : 1.0F);
}

/// All yield at the same time, because they go by what all see: who sees the path empty begins the
/// period anew, who sees the queue shrink while his own yield is near joins in. Where no queue
/// stands, or a short one on a long path, there is no need to; but to know whether a path is long.
bool Congestion::is_turn_to_yield(Time sample, const RoundTrip& path, Time now) noexcept
{
    const auto delay = sample - path.least();
    const auto usual = path.smoothed() - path.least();
    const auto others_yield = delay < usual * 2 / 3;
    const auto is_unknown = is_long(path) && yields_ < slow_hosts_yields;
    const auto is_queue = usual > (is_unknown ? near_
                                              : std::max({2 * near_, path.least() / 4,
                                                          allowed_variations * path.variation()}));
    if (is_queue &&
        now >= (others_yield ? yield_at_ - std::max(yield_soon, period_ / 2) : yield_at_))
        return true;
    if (delay <= near_) {
        empty_at_ = now;
        yield_at_ = now + period_;
    }
    return false;
}

Time Congestion::yield(const RoundTrip& path, Time now) noexcept
{
    const auto round_trip = path.smoothed();
    yielding_ = true;
    period_ = yield_period;
    if (are_hosts_slow(path))
        period_ = std::max(period_, slow_hosts_period * round_trip);
    yield_at_ = now + period_;
    frames_ = 1;
    // The last digits of the time of an arrival are as good as random.
    const auto random = static_cast<float>(now.count() % 64) / 64;
    alone_from_ = now + times(round_trip, yield_drained + yield_spread * random);
    yield_ends_ = now + times(round_trip, yield_over);
    return alone_from_;
}

Time Congestion::end_yield(const RoundTrip& path, Time now) noexcept
{
    yielding_ = false;
    if (!is_long(path))
        yields_ = 0;
    else if (yields_ < slow_hosts_yields && ++yields_ == slow_hosts_yields)
        starting_ = true;
    remember_loss();
    begin_round(now);
    return yield_ends_;
}

/// Round trips since the round began; but not those in which there was nothing to send.
float Congestion::slow_hosts_rounds(const RoundTrip& path, Time now) const noexcept
{
    return std::min(ratio(now - round_began_, path.smoothed()), static_cast<float>(delivered_));
}

bool Congestion::are_hosts_slow(const RoundTrip& path) const noexcept
{
    return is_long(path) && yields_ >= slow_hosts_yields;
}

/// Than a segment's.
bool Congestion::is_long(const RoundTrip& path) const noexcept
{
    return static_cast<float>(path.least().count()) > slow_hosts + slow_hosts_frame * scale_;
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

/// Where frames are lost, less: it may be a queue that overflows.
Time Congestion::allowance(const RoundTrip& path) const noexcept
{
    const auto fixed = fixed_allowance * (1 + scale_ * jumbo_allowance);
    const auto queue = fixed + shared_allowance / std::sqrt(window_ * scale_);
    const auto allowed = queue / (1 + loss_ / loss_that_halves);
    const auto hosts = are_hosts_slow(path) ? slow_hosts_round_trips * path.least() : Time::zero();
    return std::max({Time(static_cast<Time::rep>(allowed)), hosts,
                     allowed_variations * std::min(path.variation(), most_variation)});
}

void Congestion::shrink(float factor) noexcept
{
    window_ = std::max(floor_, window_ * factor);
    starting_ = false;
    yielding_ = false;
}

void Congestion::grow(bool is_path_empty, float round_trips) noexcept
{
    starting_ = starting_ && is_path_empty;
    auto more = std::max(1.0F, round_trips);
    if (starting_)
        more = static_cast<float>(delivered_);
    else if (is_path_empty)
        more *= std::max(1.0F, window_ / 16);
    window_ = std::min(limit_, window_ + more);
}

} // namespace p2prdma::l2
