// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/completion_ring.hpp"

namespace p2prdma::l2 {

void CompletionRing::ring_event() noexcept
{
    armed_ = Armed::no;
    event_.ring();
}

void CompletionRing::push(const Completion& completion, bool solicited) noexcept
{
    --reserved_;
    auto at = head_ + count_;
    at -= at >= ring_.size() ? ring_.size() : 0;
    ring_[at] = completion;
    ++count_;
    const bool wakes = solicited || completion.status != Status::success;
    any_since_ = true;
    solicited_since_ = solicited_since_ || wakes;
    if (rings(wakes))
        ring_event();
}

std::size_t CompletionRing::pop(std::span<Completion> out) noexcept
{
    const auto number = std::min(out.size(), count_);
    for (std::size_t i = 0; i < number; ++i) {
        out[i] = ring_[head_++];
        head_ = head_ == ring_.size() ? 0 : head_;
    }
    count_ -= number;
    any_since_ = any_since_ && count_ != 0;
    solicited_since_ = solicited_since_ && count_ != 0;
    event_.clear();
    return number;
}

void CompletionRing::arm(bool solicited_only) noexcept
{
    armed_ = solicited_only ? Armed::solicited : Armed::all;
    if (solicited_only ? solicited_since_ : any_since_)
        ring_event();
}

} // namespace p2prdma::l2
