// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/admin_queue.hpp"

#include <bit>
#include <memory>
#include <span>
#include <utility>

namespace lab::efa {

namespace {

/// The phase bit of the entry with that running index: 1 on the first pass.
bool phase_of(std::uint32_t index, const AdminQueue::Ring& ring)
{
    return (index & ring.depth) == 0;
}

std::uint64_t address_of(std::uint32_t index, const AdminQueue::Ring& ring, std::size_t entry_size)
{
    return ring.base + (index & (ring.depth - 1)) * entry_size;
}

} // namespace

AdminQueue::AdminQueue(DmaEngine& dma, Execute execute, Completed completed)
    : dma_(dma), execute_(std::move(execute)), completed_(std::move(completed))
{
}

bool AdminQueue::doorbell(std::uint16_t producer, const Ring& submission, const Ring& completion)
{
    if (submission_.depth == 0) {
        if (!std::has_single_bit(submission.depth) || completion.depth != submission.depth)
            return false;
        submission_ = submission;
        completion_ = completion;
    }
    if (static_cast<std::uint16_t>(producer - consumer_) > submission_.depth)
        return false;
    producer_ = producer;
    next();
    return true;
}

void AdminQueue::reset()
{
    ++epoch_;
    submission_ = completion_ = {};
    producer_ = consumer_ = 0;
    busy_ = false;
}

void AdminQueue::next()
{
    if (busy_ || consumer_ == producer_)
        return;
    busy_ = true;
    dma_.read(address_of(consumer_, submission_, sizeof(entry_)),
              std::as_writable_bytes(std::span(&entry_, 1)),
              [this, epoch = epoch_](const DmaResult& result) {
                  if (epoch == epoch_)
                      fetched(result.error);
              });
}

void AdminQueue::fetched(int error)
{
    bool phase = (entry_.head.flags & admin::SubmissionHead::phase) != 0;
    if (error != 0 || phase != phase_of(consumer_, submission_))
        return complete(admin::Status::malformed_request);
    execute_(entry_, [this, epoch = epoch_](const AdminResult& result) {
        if (epoch == epoch_)
            complete(result);
    });
}

void AdminQueue::complete(const AdminResult& result)
{
    admin::CompletionEntry entry{};
    entry.head.command_id = entry_.head.command_id & admin::SubmissionHead::command_id_mask;
    entry.head.status = result.status;
    entry.head.flags = phase_of(consumer_, completion_) ? 1 : 0;
    entry.response = result.response;
    std::uint64_t where = address_of(consumer_, completion_, sizeof(entry));
    ++consumer_;
    dma_.write(where, std::as_bytes(std::span(&entry, 1)),
               [this, epoch = epoch_](const DmaResult&) {
                   if (epoch != epoch_)
                       return;
                   busy_ = false;
                   completed_();
                   next();
               });
}

} // namespace lab::efa
