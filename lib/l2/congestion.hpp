// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/round_trip.hpp"

#include <cstdint>

namespace p2prdma::l2 {

/// How many frames of one direction may be in the network at once.
///
/// It is steered by delay: once a round trip, the delay seen in it is compared with a target above
/// the least ever. Below it the window grows by a frame a round, at the start and while the path is
/// empty faster; above it, it shrinks in proportion to the excess, if a queue stands: hosts that
/// run only now and then make round trips long, too, but not all of them.
///
/// Loss as such is no sign of congestion here: cables and switches lose frames at random. Only if a
/// good part is lost *and* the round trip is inflated, or very much is, the window shrinks.
///
/// Who begins while a queue stands would take it for the path and get more than his share. So now
/// and then, where a queue stands, all yield together: each pauses until the queue is gone, and
/// sends one frame that sees how long the path is. If it stays far longer than a segment's, the
/// hosts are slow, and the more frames they get at once the better: much longer queues are allowed.
///
/// Thread-safety: none.
class Congestion {
public:
    /// \param limit  the most frames it will ever allow
    /// \param frame_bytes  of a full frame: the first window is about 15 kB
    Congestion(std::uint32_t limit, std::uint32_t frame_bytes) noexcept;
    /// A full frame has another size from now on.
    void set_frame_bytes(std::uint32_t frame_bytes) noexcept;

    [[nodiscard]] std::uint32_t window() const noexcept { return frames_; }
    /// `frames` more have arrived. `sample`: a round trip measured by that, which `path` knows, or
    /// 0. Returns until when nothing is to be sent; 0 or what has passed: one may go on.
    [[nodiscard]] Time delivered(std::uint32_t frames, Time sample, const RoundTrip& path,
                                 Time now) noexcept;
    void lost(std::uint32_t frames) noexcept { lost_ += frames; }
    /// Once more nothing was heard for long. (The first time tells nothing: what is acknowledged
    /// next shows whether frames were lost, or only late.)
    void timed_out_again() noexcept;
    /// The window was what kept a frame from being sent.
    void limited() noexcept { limited_ = true; }

private:
    void add(Time sample) noexcept;
    void end_round(const RoundTrip& path, Time now) noexcept;
    void steer(Time round_trip, const RoundTrip& path, Time now) noexcept;
    void begin_round(Time now) noexcept;
    [[nodiscard]] bool is_turn_to_yield(Time sample, const RoundTrip& path, Time now) noexcept;
    [[nodiscard]] Time yield(const RoundTrip& path, Time now) noexcept;
    [[nodiscard]] Time end_yield(const RoundTrip& path, Time now) noexcept;
    [[nodiscard]] float slow_hosts_rounds(const RoundTrip& path, Time now) const noexcept;
    [[nodiscard]] bool are_hosts_slow(const RoundTrip& path) const noexcept;
    [[nodiscard]] bool is_long(const RoundTrip& path) const noexcept;
    void remember_loss() noexcept;
    [[nodiscard]] bool heavy_loss(Time delay, Time least) const noexcept;
    /// How much longer than the least a round trip may be.
    [[nodiscard]] Time allowance(const RoundTrip& path) const noexcept;
    void shrink(float factor) noexcept;
    /// `round_trips`: since it last grew.
    void grow(bool is_path_empty, float round_trips) noexcept;

    float limit_;
    float scale_; ///< a frame in frames of 1514 bytes
    float floor_;
    float window_;
    std::uint32_t frames_; ///< whole ones of window_
    float loss_ = 0;       ///< fraction, smoothed over some hundred frames
    std::uint32_t delivered_ = 0;
    std::uint32_t lost_ = 0;
    Time round_began_{};
    Time group_least_ = Time::max();
    Time sum_{}; ///< of the groups' least in this round
    std::uint32_t groups_ = 0;
    std::uint32_t group_ = 0; ///< samples in the group
    Time near_;               ///< the path counts as empty up to such a delay
    Time period_;             ///< in which one yields if the path is not seen empty
    Time empty_at_{};         ///< when the path was last seen so
    Time yield_at_{};         ///< next
    Time alone_from_{};       ///< yielding: what is sent from then on sees the empty path
    Time yield_ends_{};
    unsigned yields_ = 0; ///< up to what tells of slow hosts
    bool yielding_ = false;
    bool limited_ = false;
    bool starting_ = true;
};

} // namespace p2prdma::l2
