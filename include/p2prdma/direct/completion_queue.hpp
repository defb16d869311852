// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/efa_completion_queue.hpp"
#include "p2prdma/direct/session.hpp"

#include <cstdint>
#include <memory>

namespace p2prdma::direct {

/// A completion queue in card memory, into which an adapter writes by itself. Move-only; a queue
/// pair keeps what it needs of it.
///
/// Thread-safety: one thread at a time, which includes use of its queue pairs.
class P2PRDMA_API CompletionQueue final {
public:
    /// \param entries  at least that many: as the send and receive entries of all queue pairs that
    ///                 complete here \throws Error
    CompletionQueue(const Session& session, std::uint32_t adapter, std::uint32_t entries);

    /// The next completion, if there is one: EfaCompletionQueue::poll().
    [[nodiscard]] bool poll(Completion& completion) noexcept { return queue_->poll(completion); }
    [[nodiscard]] std::uint32_t entries() const noexcept { return queue_->entries(); }
    /// Completions that belonged to no request: EfaCompletionQueue::strays().
    [[nodiscard]] std::uint64_t strays() const noexcept { return queue_->strays(); }

    struct State; ///< for the objects of this library
    [[nodiscard]] const std::shared_ptr<State>& state() const noexcept { return state_; }

private:
    std::shared_ptr<State> state_;
    EfaCompletionQueue* queue_; // of the state
};

} // namespace p2prdma::direct
