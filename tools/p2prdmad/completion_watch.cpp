// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/completion_watch.hpp"

#include "p2prdma/direct/efa_layout.hpp"

#include <infiniband/verbs.h>

namespace p2prdma::daemon {
namespace {

namespace layout = direct::efa::completion;

/// The operation of an entry of the send queue, as counters name it; 0: none that they know.
std::uint32_t sent(std::uint64_t completion)
{
    switch (completion >> layout::operation_shift & 7) {
    case 0:
        return IBV_QP_ATTACH_COMP_CNTR_OP_SEND;
    case 1:
        return IBV_QP_ATTACH_COMP_CNTR_OP_RDMA_READ;
    case 2:
        return IBV_QP_ATTACH_COMP_CNTR_OP_RDMA_WRITE;
    default:
        return 0;
    }
}

std::uint32_t operation_of(std::uint64_t completion)
{
    const auto queue = completion >> layout::queue_shift & 3;
    if (queue == layout::queue_receive)
        return IBV_QP_ATTACH_COMP_CNTR_OP_RECV;
    return sent(completion);
}

} // namespace

CompletionWatch::CompletionWatch(const Queue& queue, std::uint16_t number,
                                 std::uint32_t operations) noexcept
    : queue_(queue), number_(number), operations_(operations)
{
    find_end();
}

std::uint64_t CompletionWatch::load(std::uint32_t index) const noexcept
{
    const auto* entry = queue_.memory.data() + std::size_t{index} * queue_.entry_size;
    const std::uint64_t word = *reinterpret_cast<const volatile std::uint64_t*>(entry);
    return direct::efa::little_endian(word);
}

bool CompletionWatch::phase(std::uint32_t index) const noexcept
{
    return load(index) & layout::phase;
}

/// The entry before the next one is as it was left, unless the adapter has come there again.
bool CompletionWatch::passed_by() const noexcept
{
    const bool wrapped = next_ == 0;
    const auto before = wrapped ? queue_.entries - 1 : next_ - 1;
    return phase(next_) != pass_ && phase(before) != (wrapped ? !pass_ : pass_);
}

/// Entries of the pass that is under way come first, then those of the pass before.
void CompletionWatch::find_end() noexcept
{
    const bool current = phase(0);
    std::uint32_t written = 1;
    auto end = queue_.entries;
    while (written < end) {
        const auto middle = written + (end - written) / 2;
        if (phase(middle) == current)
            written = middle + 1;
        else
            end = middle;
    }
    next_ = written % queue_.entries;
    pass_ = next_ ? current : !current;
}

void CompletionWatch::advance() noexcept
{
    next_ = (next_ + 1) % queue_.entries;
    pass_ = next_ ? pass_ : !pass_;
}

void CompletionWatch::count(std::uint64_t completion) noexcept
{
    if (static_cast<std::uint16_t>(completion >> 32) != number_ ||
        !(operations_ & operation_of(completion)))
        return;
    const auto status = static_cast<std::uint8_t>(completion >> layout::status_shift);
    (status == 0 ? count_.completions : count_.others)++;
}

const Count& CompletionWatch::look() noexcept
{
    if (passed_by()) {
        find_end();
        count_.others++; // it is not known what there was, but that there was something
    }
    for (auto left = queue_.entries; left > 0; left--) {
        const auto completion = load(next_);
        if (static_cast<bool>(completion & layout::phase) != pass_)
            break;
        count(completion);
        advance();
    }
    return count_;
}

} // namespace p2prdma::daemon
