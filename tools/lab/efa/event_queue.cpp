// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/event_queue.hpp"

#include "tools/lab/efa/io_layout.hpp"

#include <span>
#include <utility>

namespace lab::efa {

EventQueue::EventQueue(DmaEngine& dma, Counters& counters, const Ring& ring, Raise raise)
    : dma_(dma), counters_(counters), ring_(ring), raise_(std::move(raise))
{
}

void EventQueue::post(std::uint16_t cqn)
{
    if (!open_)
        return;
    std::uint32_t index = producer_ & (ring_.depth - 1);
    bool phase = (producer_ & ring_.depth) == 0; // 1 on the first pass
    ++producer_;
    ++counters_.events;
    EventEntry entry{.common = phase ? EventEntry::phase : 0,
                     .reserved = 0,
                     .cqn = cqn,
                     .reserved2 = 0,
                     .reserved3 = 0};
    dma_.write(ring_.base + index * sizeof(entry), std::as_bytes(std::span(&entry, 1)),
               [weak = weak_from_this()](const DmaResult&) {
                   if (auto self = weak.lock(); self && self->open_)
                       self->written();
               });
}

void EventQueue::written()
{
    unannounced_ = !armed_;
    if (std::exchange(armed_, false))
        raise_(ring_.vector);
}

void EventQueue::arm()
{
    armed_ = !unannounced_;
    if (std::exchange(unannounced_, false))
        raise_(ring_.vector);
}

} // namespace lab::efa
