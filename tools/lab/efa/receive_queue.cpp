// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/receive_queue.hpp"

#include "tools/lab/efa/queue_pair.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace lab::efa {

ReceiveQueue::ReceiveQueue(Context& context, QueuePair& owner, const Ring& ring)
    : context_(context), owner_(owner), ring_(ring)
{
}

void ReceiveQueue::doorbell(std::uint16_t producer)
{
    std::uint32_t count = static_cast<std::uint16_t>(producer - producer_);
    if (count == 0)
        return;
    if (count > ring_.entries - unconsumed_)
        return owner_.fail();
    fetch(count);
}

void ReceiveQueue::fetch(std::uint32_t count)
{
    std::uint32_t index = producer_ & (ring_.entries - 1);
    std::uint32_t before_wrap = std::min(count, ring_.entries - index);
    std::array segments{
        DmaSegment{ring_.base + index * sizeof(ReceiveDescriptor),
                   before_wrap * sizeof(ReceiveDescriptor)},
        DmaSegment{ring_.base, (count - before_wrap) * sizeof(ReceiveDescriptor)},
    };
    producer_ = static_cast<std::uint16_t>(producer_ + count);
    unconsumed_ += count;
    auto descriptors = std::make_shared<Descriptors>(count);
    context_.dma.read(
        std::span(segments).first(count == before_wrap ? 1 : 2),
        std::as_writable_bytes(std::span(*descriptors)),
        [this, descriptors, epoch = epoch_, guard = owner_.guard()](const DmaResult& result) {
            if (!guard.expired() && epoch == epoch_)
                fetched(*descriptors, result.error);
        });
}

void ReceiveQueue::fetched(const Descriptors& descriptors, int error)
{
    bool good = error == 0 && std::all_of(descriptors.begin(), descriptors.end(),
                                          [this](const auto& d) { return append(d); });
    if (!good)
        return owner_.fail();
    if (owner_.state() == QpState::error)
        flush();
    else
        owner_.receives_posted();
}

/// False if the descriptor does not continue what came before it.
bool ReceiveQueue::append(const ReceiveDescriptor& descriptor)
{
    bool first = (descriptor.lkey_ctrl & ReceiveDescriptor::first) != 0;
    if (first != partial_.buffers.empty() || partial_.buffers.size() == Limits::max_receive_sges)
        return false;
    if (first)
        partial_.req_id = descriptor.req_id;
    partial_.buffers.push_back(descriptor);
    if ((descriptor.lkey_ctrl & ReceiveDescriptor::last) != 0)
        requests_.push_back(std::exchange(partial_, {}));
    return true;
}

ReceiveRequest ReceiveQueue::take()
{
    ReceiveRequest request = std::move(requests_.front());
    requests_.pop_front();
    unconsumed_ -= static_cast<std::uint32_t>(request.buffers.size());
    return request;
}

void ReceiveQueue::flush()
{
    while (!empty())
        owner_.complete_receive(take(), CompletionStatus::flushed);
}

void ReceiveQueue::reset()
{
    ++epoch_;
    producer_ = 0;
    unconsumed_ = 0;
    partial_ = {};
    requests_.clear();
}

} // namespace lab::efa
