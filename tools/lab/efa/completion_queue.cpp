// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/completion_queue.hpp"

#include "tools/lab/efa/registers.hpp"

#include <span>
#include <utility>

namespace lab::efa {

CompletionQueue::CompletionQueue(DmaEngine& dma, Counters& counters, std::uint16_t number,
                                 const Ring& ring, std::shared_ptr<EventQueue> events)
    : dma_(dma), counters_(counters), number_(number), ring_(ring), events_(std::move(events))
{
}

void CompletionQueue::post(Completion completion)
{
    if (!open_)
        return;
    std::uint32_t index = producer_ & (ring_.depth - 1);
    if ((producer_ & ring_.depth) == 0) // 1 on the first pass
        completion.head.flags |= CompletionHead::phase;
    ++producer_;
    ++counters_.completions;
    if (completion.head.status != CompletionStatus::ok)
        ++counters_.error_completions;
    dma_.write(ring_.base + std::uint64_t{index} * ring_.entry_size,
               std::as_bytes(std::span(&completion, 1)).first(ring_.entry_size),
               [weak = weak_from_this()](const DmaResult&) {
                   if (auto self = weak.lock(); self && self->open_)
                       self->written();
               });
}

void CompletionQueue::written()
{
    ++written_;
    if (armed_)
        notify();
}

void CompletionQueue::ring(std::uint32_t doorbell)
{
    if ((doorbell & reg::cq_db_arm) == 0)
        return;
    armed_ = true;
    bool consumed_all =
        (doorbell & reg::cq_db_consumer_mask) == (written_ & reg::cq_db_consumer_mask);
    if (!consumed_all && written_ != announced_)
        notify();
}

void CompletionQueue::notify()
{
    armed_ = false;
    announced_ = written_;
    if (events_)
        events_->post(number_);
}

} // namespace lab::efa
