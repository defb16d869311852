// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/held_frames.hpp"

#include "lib/l2/receive_window.hpp"

#include <algorithm>
#include <new>

namespace p2prdma::l2 {

namespace {

/// What the allocator adds to a frame's bytes, at most.
constexpr std::size_t overhead = 32;

} // namespace

bool HeldFrames::hold(std::uint32_t next, std::uint32_t ahead,
                      std::span<const std::byte> frame) noexcept
{
    const auto cost = frame.size() + overhead;
    const auto kept = ahead == 0 ? 0 : cost; // for the next frame, which must always find room
    if (reserve(next, ahead + 1, cost + kept) && take(cost, kept)) {
        if (copy(frame, ring_[next + ahead])) {
            ++count_;
            return true;
        }
        give_back(cost);
    }
    if (count_ == 0)
        release_ring();
    return false;
}

bool HeldFrames::copy(std::span<const std::byte> frame, Held& held) noexcept
{
    held.bytes.reset(new (std::nothrow) std::byte[frame.size()]);
    if (!held.bytes)
        return false;
    std::ranges::copy(frame, held.bytes.get());
    held.size = static_cast<std::uint32_t>(frame.size());
    return true;
}

void HeldFrames::release_ring() noexcept
{
    give_back(ring_.bytes());
    ring_.release();
}

bool HeldFrames::reserve(std::uint32_t next, std::uint32_t count, std::size_t kept) noexcept
{
    if (count <= ring_.capacity())
        return true;
    if (count > ring_.limit)
        return false;
    const auto more = ring_.bytes_for(count) - ring_.bytes();
    if (!take(more, kept))
        return false;
    if (ring_.reserve(next, count))
        return true;
    give_back(more);
    return false;
}

bool HeldFrames::take(std::size_t bytes, std::size_t reserve) noexcept
{
    if (bytes + reserve > limit_ - bytes_ || !budget_.take(bytes))
        return false;
    bytes_ += bytes;
    return true;
}

void HeldFrames::give_back(std::size_t bytes) noexcept
{
    bytes_ -= bytes;
    budget_.give_back(bytes);
}

void HeldFrames::drop(std::uint32_t next) noexcept
{
    if (!holds(next, 0))
        return;
    auto& held = ring_[next];
    give_back(held.size + overhead);
    held.bytes.reset();
    if (--count_ == 0)
        release_ring();
}

void HeldFrames::clear() noexcept
{
    for (std::uint32_t i = 0; count_ != 0; ++i)
        drop(i);
}

std::optional<wire::Sack> HeldFrames::sack(std::uint32_t next) const noexcept
{
    if (count_ == 0)
        return std::nullopt;
    wire::Sack sack;
    const auto reach = std::min<std::uint32_t>(wire::sack_bits, ring_.capacity() - 1);
    for (std::uint32_t i = 0; i < reach; ++i)
        if (ring_[next + 1 + i].bytes)
            sack.set(i);
    if (sack.none())
        return std::nullopt;
    return sack;
}

std::uint32_t HeldFrames::room() const noexcept
{
    const auto room = std::min((limit_ - bytes_) / 2, budget_.available() / 8);
    return static_cast<std::uint32_t>(std::min<std::size_t>(room, 1U << 30U));
}

bool HeldFrames::is_filling() const noexcept
{
    return bytes_ != 0 && (bytes_ > limit_ / 2 || budget_.available() < budget_.used() / 4);
}

} // namespace p2prdma::l2
