// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/efa/counters.hpp"

#include <cstdint>
#include <functional>
#include <memory>

namespace lab::efa {

/// A ring of events in host memory and the interrupt that announces them.
///
/// An interrupt is raised once per arming: for the first event after it, or at once if an event
/// was written since the last interrupt, which the driver may have missed.
class EventQueue : public std::enable_shared_from_this<EventQueue> {
public:
    struct Ring {
        std::uint64_t base;
        std::uint32_t depth; ///< entries; a power of two
        std::uint8_t vector; ///< MSI-X
    };
    using Raise = std::function<void(unsigned vector)>;

    EventQueue(DmaEngine& dma, Counters& counters, const Ring& ring, Raise raise);

    /// Writes a completion event; the interrupt follows once it is in memory.
    void post(std::uint16_t cqn);
    void arm();
    /// Nothing is written or raised any more.
    void close() { open_ = false; }

private:
    void written();

    DmaEngine& dma_;
    Counters& counters_;
    Ring ring_;
    Raise raise_;
    bool open_ = true;
    bool armed_ = false;
    bool unannounced_ = false; ///< an event was written since the last interrupt
    std::uint32_t producer_ = 0;
};

} // namespace lab::efa
