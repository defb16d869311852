// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/efa/counters.hpp"
#include "tools/lab/efa/event_queue.hpp"
#include "tools/lab/efa/io_layout.hpp"

#include <cstdint>
#include <memory>

namespace lab::efa {

/// A ring of completions in memory, host or other, with an optional event per arming.
class CompletionQueue : public std::enable_shared_from_this<CompletionQueue> {
public:
    struct Ring {
        std::uint64_t base;
        std::uint32_t depth;      ///< entries; a power of two
        std::uint32_t entry_size; ///< bytes: 16 or 32
        bool set_source_address;  ///< receive completions of unknown senders carry their GID
    };

    /// @param events  null: the queue is polled
    CompletionQueue(DmaEngine& dma, Counters& counters, std::uint16_t number, const Ring& ring,
                    std::shared_ptr<EventQueue> events);

    std::uint16_t number() const { return number_; }
    bool set_source_address() const { return ring_.set_source_address; }

    /// Writes a completion; phase bit and, if armed, event are the queue's business. All DMA that
    /// the caller issued before takes effect before the completion does.
    void post(Completion completion);
    /// The queue's doorbell: with the arm bit, asks for an event at the next completion; or at
    /// once, if a completion came since the last event that software had not consumed when it
    /// rang. A completion that an event has announced does not cause another one.
    void ring(std::uint32_t doorbell);
    /// Nothing is written any more.
    void close() { open_ = false; }

    unsigned users = 0; ///< queue pairs that complete here, each once per direction

private:
    void written();
    void notify();

    DmaEngine& dma_;
    Counters& counters_;
    std::uint16_t number_;
    Ring ring_;
    std::shared_ptr<EventQueue> events_;
    bool open_ = true;
    bool armed_ = false;
    std::uint32_t producer_ = 0;
    std::uint32_t written_ = 0;   ///< completions that are in memory
    std::uint32_t announced_ = 0; ///< written_ at the last event
};

} // namespace lab::efa
