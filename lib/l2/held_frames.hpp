// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/psn_ring.hpp"
#include "lib/l2/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace p2prdma::l2 {

class BufferBudget;

/// Copies of frames that cannot be processed yet, by PSN. All of the memory is counted against a
/// limit and the budget, what it costs to manage included; empty, it has none.
///
/// Thread-safety: the budget's.
class HeldFrames {
public:
    HeldFrames(std::size_t limit, BufferBudget& budget) noexcept : limit_(limit), budget_(budget) {}
    ~HeldFrames() { clear(); }
    HeldFrames(const HeldFrames&) = delete;
    HeldFrames& operator=(const HeldFrames&) = delete;

    /// Holds a copy of a frame `ahead` of `next`; none is held for it. One that is ahead may not
    /// take the room that the next itself needs. False: there is no room.
    [[nodiscard]] bool hold(std::uint32_t next, std::uint32_t ahead,
                            std::span<const std::byte> frame) noexcept;
    [[nodiscard]] bool holds(std::uint32_t next, std::uint32_t ahead) const noexcept
    {
        return ahead < ring_.capacity() && ring_[next + ahead].bytes != nullptr;
    }
    [[nodiscard]] std::span<const std::byte> frame(std::uint32_t psn) const noexcept
    {
        return {ring_[psn].bytes.get(), ring_[psn].size};
    }
    /// The next is done: the lowest that can be held from now on is the one after it.
    void drop(std::uint32_t next) noexcept;
    void clear() noexcept;

    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    /// Which of those after `next` are held, if any.
    [[nodiscard]] std::optional<wire::Sack> sack(std::uint32_t next) const noexcept;
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Bytes of frames that would surely find room.
    [[nodiscard]] std::uint32_t room() const noexcept;
    [[nodiscard]] bool is_filling() const noexcept;

private:
    struct Held {
        std::unique_ptr<std::byte[]> bytes;
        std::uint32_t size = 0;
    };
    [[nodiscard]] bool take(std::size_t bytes, std::size_t reserve) noexcept;
    [[nodiscard]] bool reserve(std::uint32_t next, std::uint32_t count, std::size_t kept) noexcept;
    void give_back(std::size_t bytes) noexcept;
    [[nodiscard]] static bool copy(std::span<const std::byte> frame, Held& held) noexcept;
    void release_ring() noexcept;

    PsnRing<Held> ring_;
    std::size_t limit_;
    std::size_t bytes_ = 0;
    BufferBudget& budget_;
    std::uint32_t count_ = 0;
};

} // namespace p2prdma::l2
