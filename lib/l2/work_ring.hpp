// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace p2prdma::l2 {

/// Chunks of entries that the queues of a device share, so that an idle queue holds none.
/// Allocates only while the queues together hold more than ever before.
template <class T, std::size_t per_chunk>
class ChunkPool {
public:
    using Chunk = std::array<T, per_chunk>;

    /// nullptr: no memory.
    [[nodiscard]] Chunk* take() noexcept
    {
        if (free_.empty() && !add())
            return nullptr;
        auto* const chunk = free_.back();
        free_.pop_back();
        return chunk;
    }
    void give_back(Chunk* chunk) noexcept { free_.push_back(chunk); } // add() made the room

private:
    bool add() noexcept
    try {
        constexpr std::size_t at_once = 16;
        free_.reserve((slabs_.size() + 1) * at_once);
        slabs_.push_back(std::make_unique<std::array<Chunk, at_once>>());
        for (auto& chunk : *slabs_.back())
            free_.push_back(&chunk);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }

    std::vector<std::unique_ptr<std::array<Chunk, 16>>> slabs_;
    std::vector<Chunk*> free_;
};

/// A queue of at most `entries` in order, named by a number that counts up for ever (modulo 2^32).
/// Its memory comes in chunks from the pool, and goes back there as soon as it is not used.
template <class T, std::size_t per_chunk>
class WorkRing {
public:
    using Pool = ChunkPool<T, per_chunk>;

    WorkRing(Pool& pool, std::uint32_t entries)
        : pool_(&pool), capacity_(entries), slots_(round_up(entries)),
          chunks_(std::make_unique<typename Pool::Chunk*[]>(slots_))
    {
    }
    ~WorkRing() { clear(); }
    WorkRing(const WorkRing&) = delete;
    WorkRing& operator=(const WorkRing&) = delete;

    [[nodiscard]] std::uint32_t head() const noexcept { return head_; }
    [[nodiscard]] std::uint32_t tail() const noexcept { return tail_; } ///< one past the last
    [[nodiscard]] std::uint32_t size() const noexcept { return tail_ - head_; }
    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    [[nodiscard]] bool full() const noexcept { return size() >= capacity_; }
    [[nodiscard]] bool contains(std::uint32_t at) const noexcept { return at - head_ < size(); }
    [[nodiscard]] T& operator[](std::uint32_t at) noexcept
    {
        return (*chunks_[slot(at)])[at % per_chunk];
    }

    /// The first entry.
    void prefetch() const noexcept
    {
        if (empty())
            return;
        const auto* const entry = &(*chunks_[slot(head_)])[head_ % per_chunk];
        for (std::size_t at = 0; at < sizeof(T); at += 64)
            __builtin_prefetch(reinterpret_cast<const std::byte*>(entry) + at, 1);
    }
    /// A new last entry, with what was in it before; nullptr: full, or no memory.
    [[nodiscard]] T* push() noexcept
    {
        if (full())
            return nullptr;
        auto& chunk = chunks_[slot(tail_)];
        if (chunk == nullptr && (chunk = pool_->take()) == nullptr)
            return nullptr;
        return &(*chunk)[tail_++ % per_chunk];
    }
    void pop() noexcept
    {
        const auto was = slot(head_++);
        if (empty() || slot(head_) != was)
            give_back(was);
    }
    /// Takes back what was pushed last.
    void pop_last() noexcept
    {
        const auto was = slot(--tail_);
        if (empty() || slot(tail_ - 1) != was)
            give_back(was);
    }
    void clear() noexcept
    {
        while (!empty())
            pop();
    }

private:
    // A power of two, so that numbers may wrap; one more than full, as head and tail may be in the
    // middle of chunks.
    [[nodiscard]] static std::uint32_t round_up(std::uint32_t entries) noexcept
    {
        std::uint32_t slots = 1;
        while (slots < entries / per_chunk + 2)
            slots *= 2;
        return slots;
    }
    [[nodiscard]] std::size_t slot(std::uint32_t at) const noexcept
    {
        return at / per_chunk & (slots_ - 1);
    }
    void give_back(std::size_t slot) noexcept
    {
        pool_->give_back(chunks_[slot]);
        chunks_[slot] = nullptr;
    }

    Pool* pool_;
    std::uint32_t capacity_, slots_;
    std::uint32_t head_ = 0, tail_ = 0;
    std::unique_ptr<typename Pool::Chunk*[]> chunks_;
};

} // namespace p2prdma::l2
