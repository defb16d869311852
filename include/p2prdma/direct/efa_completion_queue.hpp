// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/request.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace p2prdma::direct {

class EfaSendQueue;
class EfaReceiveQueue;

/// A completion queue that an EFA adapter writes into memory: card memory, or a host's.
///
/// It is read only: an adapter does not ask how far it was read, so it must have as many entries
/// as requests of all its queues may be outstanding.
///
/// Thread-safety: one thread at a time, which includes use of the queues that are attached.
class P2PRDMA_API EfaCompletionQueue final {
public:
    struct Config {
        std::span<volatile std::byte> memory; ///< zeroed before the adapter knew it; 8-aligned
        std::uint32_t entries = 0;            ///< a power of two, 1 to 32768
        std::uint32_t entry_size = 0;         ///< 16 or 32 bytes
    };

    /// \throws Error bad_argument
    explicit EfaCompletionQueue(const Config& config);

    /// Completions of queue pair `number` end requests of these queues, either of which may be
    /// null, until detach(). Allocates.
    /// \throws Error bad_argument if a queue pair of that number is attached
    void attach(std::uint16_t number, EfaSendQueue* send, EfaReceiveQueue* receive);
    void detach(std::uint16_t number) noexcept;

    /// The next completion, if there is one. Once it is reported, what a receive or read brought
    /// may be looked at.
    [[nodiscard]] bool poll(Completion& completion) noexcept;

    [[nodiscard]] std::uint32_t entries() const noexcept { return entries_; }
    /// Completions that named no outstanding request of an attached queue, and were skipped: left
    /// over from a queue pair that is gone, or an adapter gone mad.
    [[nodiscard]] std::uint64_t strays() const noexcept { return strays_; }

private:
    struct Queues {
        std::uint16_t number = 0;
        EfaSendQueue* send = nullptr;
        EfaReceiveQueue* receive = nullptr;
    };

    [[nodiscard]] bool take(std::uint64_t word, volatile const std::uint64_t* entry,
                            Completion& completion) noexcept;
    [[nodiscard]] bool take_receive(const Queues& queues, std::uint64_t word,
                                    volatile const std::uint64_t* entry,
                                    Completion& completion) const noexcept;
    [[nodiscard]] static bool used(const Queues& queues) noexcept
    {
        return queues.send || queues.receive;
    }
    [[nodiscard]] Queues& place(std::uint16_t number) noexcept { return queues_[number & mask_]; }
    [[nodiscard]] bool rehash(std::size_t places);

    volatile const std::uint64_t* entry_; // the next
    volatile const std::uint64_t* ring_;  // the first
    volatile const std::uint64_t* end_;   // after the last
    std::uint64_t phase_;                 // the bit as it is in this pass
    std::uint32_t entry_words_;           // 2 or 4
    std::uint32_t entries_;
    std::uint32_t mask_ = 0;
    std::vector<Queues> queues_; // mask_ + 1 places; the last bits of a number are its place's
    std::uint64_t strays_ = 0;
};

} // namespace p2prdma::direct
