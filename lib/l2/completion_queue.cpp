// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/completion_queue_state.hpp"

#include <mutex>

namespace p2prdma::l2 {

CompletionQueue::CompletionQueue(const Device& device, std::uint32_t entries)
    : state_(std::make_shared<State>(State{device.state(), CompletionRing(entries)}))
{
    state_->ring.use_event();
}

std::size_t CompletionQueue::poll(std::span<Completion> completions) noexcept
{
    const std::lock_guard lock(state_->device->mutex);
    if (state_->ring.size() == 0)
        (void)state_->device->look();
    return state_->ring.pop(completions);
}

void CompletionQueue::arm(bool solicited) noexcept
{
    const std::lock_guard lock(state_->device->mutex);
    state_->ring.arm(solicited);
    state_->device->leave_to_thread();
}

int CompletionQueue::fd() const noexcept
{
    return state_->ring.event();
}

std::size_t CompletionQueue::wait(std::span<Completion> completions,
                                  std::chrono::steady_clock::time_point until) noexcept
{
    auto& ring = state_->ring;
    Device::State::Lock lock(state_->device->mutex);
    if (ring.size() == 0)
        (void)state_->device->drive(lock, until, {ring.event(), &ring},
                                    [&] { return ring.size() != 0; });
    if (state_->device->engine.has_to_send())
        state_->device->kick(); // who sleeps may not come back soon
    return ring.pop(completions);
}

} // namespace p2prdma::l2
