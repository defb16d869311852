// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/flight.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>

namespace p2prdma::l2 {

namespace {

constexpr std::uint16_t most_reordering = 256;
constexpr std::uint8_t most_quarters = 4;

[[nodiscard]] std::array<std::uint64_t, 4> words_of(const wire::Sack& sack) noexcept
{
    constexpr wire::Sack low(~std::uint64_t{0});
    return {(sack & low).to_ullong(), ((sack >> 64) & low).to_ullong(),
            ((sack >> 128) & low).to_ullong(), (sack >> 192).to_ullong()};
}

/// How many sendings after `from` the sending `to` was.
[[nodiscard]] std::int32_t sendings_between(std::uint32_t from, std::uint32_t to) noexcept
{
    return static_cast<std::int32_t>(to - from);
}

/// Up to some minutes.
[[nodiscard]] std::uint32_t microseconds(Time time) noexcept
{
    constexpr std::int64_t most = 1U << 28U;
    const auto count = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 1, most));
}

} // namespace

std::uint32_t Flight::push(FrameCookie cookie, Time now) noexcept
{
    const auto psn = next();
    slots_[psn] = Slot{.cookie = cookie, .sent = now, .order = ++order_};
    ++count_;
    return psn;
}

void Flight::resend(std::uint32_t psn, bool is_guess, const RoundTrip& round_trip,
                    Time now) noexcept
{
    auto& slot = slots_[psn];
    // As long as no round trip is known, what comes may well be of an earlier sending: a first
    // sample that is too short would stay the least of all.
    slot.guessed =
        is_guess || !round_trip.known() ? slot.guessed + microseconds(now - slot.sent) : 0;
    slot.ambiguous = slot.guessed != 0 || now - slot.sent < 2 * round_trip.smoothed();
    lost_ -= slot.lost;
    again_ += !slot.again;
    slot.lost = false;
    slot.again = true;
    slot.sent = now;
    slot.order = ++order_;
}

/// The sample is of the newest frame, if none of the others was sent after it: it waited for that.
Flight::Delivery Flight::advance(std::uint32_t frames, const RoundTrip& round_trip,
                                 Time now) noexcept
{
    Delivery delivery;
    const auto& newest = slots_[first_ + frames - 1];
    bool has_waited = newest.held;
    if ((held_ | lost_ | again_) == 0) {
        delivery.frames = frames;
        arrived(newest, now);
    } else {
        for (std::uint32_t i = 0; i < frames; ++i) {
            auto& slot = slots_[first_ + i];
            has_waited |= sendings_between(newest.order, slot.order) > 0 && !slot.held;
            settle(slot, round_trip, now, delivery);
        }
    }
    has_waited |= was_out_of_sight(first_ + frames - 1, newest);
    if (!has_waited && (!newest.ambiguous || newest.guessed != 0)) {
        delivery.since = now - newest.sent;
        delivery.sample = delivery.since + std::chrono::microseconds(newest.guessed);
        delivery.is_bound = newest.ambiguous;
    }
    first_ = wire::next_psn(first_, frames);
    count_ -= frames;
    if ((held_ | lost_ | again_) == 0)
        find_losses_at_ = Time::max();
    return delivery;
}

void Flight::settle(Slot& slot, const RoundTrip& round_trip, Time now, Delivery& delivery) noexcept
{
    again_ -= slot.again;
    held_ -= slot.held;
    if (slot.held)
        return;
    ++delivery.frames;
    came(slot, round_trip, now);
}

/// A frame that was not known to have arrived before this has.
void Flight::came(Slot& slot, const RoundTrip& round_trip, Time now) noexcept
{
    const auto age = now - slot.sent;
    // That it came although it was given up, or sooner than its last sending could have, shows
    // that it was only late.
    if (slot.lost || (slot.ambiguous && age < round_trip.least() * 3 / 4))
        widen_allowance();
    // What is said of a frame that was sent again soon may be of its first sending.
    else if (!slot.ambiguous || age >= round_trip.smoothed() / 2)
        arrived(slot, now);
    lost_ -= slot.lost;
    slot.lost = false;
}

void Flight::arrived(const Slot& slot, Time now) noexcept
{
    if (sendings_between(latest_.order, slot.order) > 0)
        latest_ = {slot.order, now - slot.sent};
}

Flight::Delivery Flight::hold(const wire::Sack& sack, const RoundTrip& round_trip,
                              Time now) noexcept
{
    Delivery delivery;
    const auto words = words_of(sack);
    auto newest = latest_.order;
    for (std::uint32_t word = 0; word < words.size(); ++word)
        for (auto bits = words[word]; bits != 0; bits &= bits - 1) {
            const auto bit = static_cast<std::uint32_t>(std::countr_zero(bits));
            auto& slot = slots_[first_ + 1 + 64 * word + bit];
            if (slot.held)
                continue;
            if (!slot.ambiguous && sendings_between(newest, slot.order) > 0 &&
                !was_out_of_sight(first_ + 1 + 64 * word + bit, slot)) {
                newest = slot.order;
                delivery.sample = delivery.since = now - slot.sent;
            }
            came(slot, round_trip, now);
            slot.held = true;
            ++held_;
            ++delivery.frames;
        }
    sight_end_ = wire::next_psn(first_, horizon);
    seen_at_ = now;
    return delivery;
}

/// Whether it may have arrived before the last selective acknowledgement, which could not say so.
bool Flight::was_out_of_sight(std::uint32_t psn, const Slot& slot) const noexcept
{
    return slot.sent < seen_at_ && wire::psn_distance(sight_end_, psn & wire::psn_mask) >= 0;
}

std::uint32_t Flight::find_losses(const RoundTrip& round_trip, bool is_report, Time now) noexcept
{
    const auto before = lost_;
    const auto smoothed = round_trip.smoothed();
    const auto patience = std::max(latest_.round_trip, smoothed) + smoothed * quarters_ / 4;
    // What arrives out of sight cannot tell by its order that a frame is lost, only by being told
    // of late enough.
    const auto overdue = is_report && count_ > horizon ? now - 2 * patience : Time::min();
    find_losses_at_ = Time::max();
    for (std::uint32_t i = 0; i < in_sight(); ++i) {
        const auto psn = wire::next_psn(first_, i);
        auto& slot = slots_[psn];
        if (slot.held || slot.lost)
            continue;
        const auto overtaken_by = sendings_between(slot.order, latest_.order);
        const auto is_late = overtaken_by > 0 && slot.sent + patience <= now;
        if (overtaken_by > reordering_ || is_late || slot.sent <= overdue)
            lose(slot, psn);
        else if (overtaken_by > 0)
            find_losses_at_ = std::min(find_losses_at_, slot.sent + patience);
    }
    return lost_ - before;
}

void Flight::lose(Slot& slot, std::uint32_t psn) noexcept
{
    if (lost_ == 0 || wire::psn_distance(psn, lost_from_) > 0)
        lost_from_ = psn;
    slot.lost = true;
    ++lost_;
}

void Flight::lose_missing(std::uint32_t end, Time when) noexcept
{
    for (auto psn = first_; contains(psn) && wire::psn_distance(psn, end) > 0;
         psn = wire::next_psn(psn)) {
        auto& slot = slots_[psn];
        if (!slot.held && !slot.lost && slot.sent < when)
            lose(slot, psn);
    }
}

void Flight::lose_from(std::uint32_t psn) noexcept
{
    for (; contains(psn); psn = wire::next_psn(psn)) {
        auto& slot = slots_[psn];
        held_ -= slot.held;
        slot.held = false;
        if (!slot.lost)
            lose(slot, psn);
    }
    find_losses_at_ = Time::max();
}

void Flight::forget_held() noexcept
{
    for (std::uint32_t i = 0; i < count_; ++i)
        slots_[first_ + i].held = false;
    held_ = 0;
}

std::uint32_t Flight::first_lost() noexcept
{
    if (wire::psn_distance(lost_from_, first_) > 0)
        lost_from_ = first_;
    while (!slots_[lost_from_].lost)
        lost_from_ = wire::next_psn(lost_from_);
    return lost_from_;
}

std::uint32_t Flight::last_missing() const noexcept
{
    for (auto i = in_sight(); i-- > 0;)
        if (!slots_[first_ + i].held)
            return wire::next_psn(first_, i);
    return first_;
}

void Flight::widen_allowance() noexcept
{
    reordering_ = std::min<std::uint16_t>(most_reordering, reordering_ * 2);
    quarters_ = std::min<std::uint8_t>(most_quarters, quarters_ + 1);
}

} // namespace p2prdma::l2
