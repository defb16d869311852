// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/efa_completion_queue.hpp"

#include "lib/direct/efa_ring.hpp"
#include "lib/direct/efa_status.hpp"
#include "p2prdma/direct/efa_layout.hpp"
#include "p2prdma/direct/efa_receive_queue.hpp"
#include "p2prdma/direct/efa_send_queue.hpp"
#include "p2prdma/error.hpp"
#include "p2prdma/fence.hpp"

#include <string>
#include <utility>

namespace p2prdma::direct {
namespace {

/// What only a receive's completion has.
void describe_arrival(std::uint64_t word, volatile const std::uint64_t* entry, bool wide,
                      Completion& completion) noexcept
{
    const auto second = efa::little_endian(entry[1]);
    completion.has_immediate = (word & efa::completion::has_immediate) != 0;
    completion.immediate = static_cast<std::uint32_t>(second >> 32);
    completion.peer = static_cast<std::uint16_t>(second >> 16);
    completion.length = static_cast<std::uint16_t>(word >> 48);
    if (wide && completion.operation == Operation::write)
        completion.length |= static_cast<std::uint32_t>(efa::little_endian(entry[2])) << 16;
}

} // namespace

EfaCompletionQueue::EfaCompletionQueue(const Config& config)
    : entry_(efa::checked_ring(config.memory, config.entries, config.entry_size, {16, 32})),
      ring_(entry_), end_(entry_ + std::size_t{config.entries} * config.entry_size / 8),
      phase_(efa::completion::phase), entry_words_(config.entry_size / 8), entries_(config.entries),
      queues_(1)
{
}

bool EfaCompletionQueue::rehash(std::size_t places)
{
    std::vector<Queues> queues(places);
    for (const Queues& old : queues_) {
        if (used(old) && used(std::exchange(queues[old.number & (places - 1)], old)))
            return false;
    }
    queues_ = std::move(queues);
    mask_ = static_cast<std::uint32_t>(places - 1);
    return true;
}

void EfaCompletionQueue::attach(std::uint16_t number, EfaSendQueue* send, EfaReceiveQueue* receive)
{
    while (used(place(number))) {
        if (place(number).number == number)
            throw Error(Errc::bad_argument, "queue pair " + std::to_string(number) +
                                                " is attached to the completion queue already");
        std::size_t places = queues_.size();
        do
            places *= 2;
        while (!rehash(places));
    }
    place(number) = {number, send, receive};
}

void EfaCompletionQueue::detach(std::uint16_t number) noexcept
{
    if (place(number).number == number)
        place(number) = {};
}

[[gnu::noinline]] bool EfaCompletionQueue::take_receive(const Queues& queues, std::uint64_t word,
                                                        volatile const std::uint64_t* entry,
                                                        Completion& completion) const noexcept
{
    describe_arrival(word, entry, entry_words_ > 2, completion);
    return queues.receive &&
           queues.receive->complete(static_cast<std::uint16_t>(word), completion.id);
}

[[gnu::always_inline]] inline bool EfaCompletionQueue::take(std::uint64_t word,
                                                            volatile const std::uint64_t* entry,
                                                            Completion& completion) noexcept
{
    using namespace efa::completion;
    const auto number = static_cast<std::uint16_t>(word >> 32);
    const Queues& queues = place(number);
    if (queues.number != number)
        return false;
    completion.queue_pair = number;
    completion.status = efa::from_efa(static_cast<std::uint8_t>(word >> status_shift));
    completion.operation = static_cast<Operation>(word >> operation_shift & 3);
    completion.is_receive = (word >> queue_shift & 3) == queue_receive;
    if (completion.is_receive)
        return take_receive(queues, word, entry, completion);
    completion.has_immediate = false;
    completion.length = 0;
    return queues.send && queues.send->complete(static_cast<std::uint16_t>(word), completion.id);
}

bool EfaCompletionQueue::poll(Completion& completion) noexcept
{
    // Bounded: an adapter that went mad must not keep the caller here.
    for (std::uint32_t tries = entries_; tries > 0; --tries) {
        const auto* entry = entry_;
        const auto word = efa::little_endian(*entry);
        if ((word & efa::completion::phase) != phase_)
            return false;
        // Neither the entry's rest nor what it announces may be older than its first word.
        internal::load_fence();
        entry_ = entry + entry_words_;
        if (entry_ == end_) {
            entry_ = ring_;
            phase_ ^= efa::completion::phase;
        }
        if (take(word, entry, completion))
            return true;
        ++strays_;
    }
    return false;
}

} // namespace p2prdma::direct
