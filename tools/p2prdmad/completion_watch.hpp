// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/relay.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma::daemon {

/// Counts what an adapter reports of one queue pair in a completion queue that somebody else polls:
/// it takes nothing from there. From memory it knows no more than the phase of each entry, so
/// who looks less than once in a pass over the queue does not count all; that is told from there
/// being nothing new, but for whole pairs of passes.
class CompletionWatch {
public:
    /// An EFA completion queue.
    struct Queue {
        std::span<const volatile std::byte> memory; ///< 8-aligned; outlives the watch
        std::uint32_t entries = 0;                  ///< a power of two
        std::uint32_t entry_size = 0;               ///< bytes, a multiple of 8
    };

    /// Counts from now on. \param operations  IBV_QP_ATTACH_COMP_CNTR_OP_* bits; those that
    /// peers carry out are never reported
    CompletionWatch(const Queue& queue, std::uint16_t number, std::uint32_t operations) noexcept;

    /// What there was until now: reads a word more than there are new entries.
    const Count& look() noexcept;

private:
    std::uint64_t load(std::uint32_t index) const noexcept;
    bool phase(std::uint32_t index) const noexcept;
    bool passed_by() const noexcept;
    void find_end() noexcept;
    void advance() noexcept;
    void count(std::uint64_t completion) noexcept;

    Queue queue_;
    std::uint16_t number_;
    std::uint32_t operations_;
    std::uint32_t next_ = 0; ///< the entry that will be written next
    bool pass_ = true;       ///< the phase that it will have then
    Count count_;
};

} // namespace p2prdma::daemon
