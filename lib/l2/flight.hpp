// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/psn_ring.hpp"
#include "lib/l2/round_trip.hpp"
#include "lib/l2/wire.hpp"

#include <cstdint>
#include <optional>

namespace p2prdma::l2 {

/// Stands for what the sender of a frame needs to build it again.
struct FrameCookie {
    std::uint32_t request = 0; ///< the caller's
    std::uint32_t frame = 0;   ///< the caller's: which frame of it
};

/// The frames of one direction that were sent and not yet acknowledged, and which of them are lost.
///
/// A frame is lost if one that was sent later has arrived, and either many were sent between the
/// two, or the time has passed in which a frame that others overtook would have come. What "many"
/// and "the time" are grows whenever a frame turns out to have been thought lost too early.
///
/// Thread-safety: none.
class Flight {
public:
    /// What an acknowledgement brought.
    struct Delivery {
        std::uint32_t frames = 0; ///< that arrived, by this for the first time
        Time sample{};            ///< round trip of the newest of them; 0: none that says it
        Time since{};             ///< the last sending of that frame: less, if is_bound
        bool is_bound = false;    ///< the sample is rather too long: of which sending is not known
    };
    /// How far beyond the first frame a selective acknowledgement reaches.
    static constexpr std::uint32_t horizon = wire::sack_bits + 1;

    explicit Flight(std::uint32_t first_psn) noexcept : first_(first_psn & wire::psn_mask) {}

    [[nodiscard]] std::uint32_t first() const noexcept { return first_; }
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint32_t next() const noexcept { return wire::next_psn(first_, count_); }
    [[nodiscard]] bool contains(std::uint32_t psn) const noexcept
    {
        return ((psn - first_) & wire::psn_mask) < count_;
    }
    /// Frames the peer holds beyond a gap.
    [[nodiscard]] std::uint32_t held() const noexcept { return held_; }
    [[nodiscard]] std::uint32_t lost() const noexcept { return lost_; }
    /// Frames that may still arrive, or whose acknowledgement may.
    [[nodiscard]] std::uint32_t in_network() const noexcept { return count_ - held_ - lost_; }
    [[nodiscard]] FrameCookie cookie(std::uint32_t psn) const noexcept
    {
        return slots_[psn].cookie;
    }

    /// Room for one more frame. False: no memory, or the limit of PsnRing.
    [[nodiscard]] bool reserve() noexcept { return slots_.reserve(first_, count_ + 1); }
    /// After reserve(): the new frame's psn.
    std::uint32_t push(FrameCookie cookie, Time now) noexcept;
    /// \param is_guess  nothing but a timer says that it is lost
    void resend(std::uint32_t psn, bool is_guess, const RoundTrip& round_trip, Time now) noexcept;

    /// The first `frames` are acknowledged.
    Delivery advance(std::uint32_t frames, const RoundTrip& round_trip, Time now) noexcept;
    /// Those after the first that are in `sack` are held by the peer.
    Delivery hold(const wire::Sack& sack, const RoundTrip& round_trip, Time now) noexcept;
    /// Marks what is lost by now; returns how many. `is_report`: the peer has just told what it
    /// holds.
    std::uint32_t find_losses(const RoundTrip& round_trip, bool is_report, Time now) noexcept;
    /// When find_losses() would find more by itself; Time::max(): never.
    [[nodiscard]] Time find_losses_at() const noexcept { return find_losses_at_; }
    /// The peer has told of all it holds before `end`: what of that was sent before `when` and is
    /// not held is lost.
    void lose_missing(std::uint32_t end, Time when) noexcept;
    /// Everything from psn on is lost, what was held, too.
    void lose_from(std::uint32_t psn) noexcept;
    /// The peer may have dropped what it held.
    void forget_held() noexcept;

    [[nodiscard]] bool holds_first() const noexcept { return count_ != 0 && slots_[first_].held; }
    /// The first lost frame; lost() is not 0.
    [[nodiscard]] std::uint32_t first_lost() noexcept;
    /// The last frame, as far as a selective acknowledgement reaches, that was not acknowledged
    /// at all; count() is not 0.
    [[nodiscard]] std::uint32_t last_missing() const noexcept;

    void prefetch() const noexcept { slots_.prefetch(first_); }
    void release() noexcept { slots_.release(); }
    [[nodiscard]] std::size_t heap_bytes() const noexcept { return slots_.bytes(); }

private:
    struct Slot {
        FrameCookie cookie;
        Time sent{};
        std::uint32_t order = 0;   ///< of its last sending, among all sendings
        std::uint32_t guessed = 0; ///< microseconds from a sending to the last, which was a guess
        bool again = false;
        bool ambiguous = false; ///< sent again although the one before may still arrive
        bool held = false;
        bool lost = false;
    };
    /// Of all sendings that arrived, the latest.
    struct Latest {
        std::uint32_t order = 0;
        Time round_trip{};
    };

    [[nodiscard]] std::uint32_t in_sight() const noexcept { return std::min(count_, horizon); }
    void lose(Slot& slot, std::uint32_t psn) noexcept;
    void arrived(const Slot& slot, Time now) noexcept;
    void settle(Slot& slot, const RoundTrip& round_trip, Time now, Delivery& delivery) noexcept;
    void came(Slot& slot, const RoundTrip& round_trip, Time now) noexcept;
    void widen_allowance() noexcept;
    [[nodiscard]] bool was_out_of_sight(std::uint32_t psn, const Slot& slot) const noexcept;

    PsnRing<Slot> slots_;
    Time find_losses_at_ = Time::max();
    Time seen_at_{}; ///< the last selective acknowledgement
    Latest latest_;
    std::uint32_t first_;
    std::uint32_t count_ = 0;
    std::uint32_t held_ = 0;
    std::uint32_t lost_ = 0;
    std::uint32_t again_ = 0;      ///< frames under way that were sent more than once
    std::uint32_t order_ = 0;      ///< of the last sending
    std::uint32_t sight_end_ = 0;  ///< where that ended
    std::uint32_t lost_from_ = 0;  ///< no frame before it is lost
    std::uint16_t reordering_ = 3; ///< frames that may overtake one
    std::uint8_t quarters_ = 1;    ///< of a round trip for which they may
};

} // namespace p2prdma::l2
