// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/direct/attachment.hpp"
#include "lib/direct/link.hpp"
#include "lib/direct/watched_mapping.hpp"
#include "p2prdma/direct/completion_queue.hpp"
#include "p2prdma/direct/queue_pair.hpp"

#include <optional>
#include <vector>

namespace p2prdma::direct {

/// A ring and its doorbell, mapped as the host described them.
struct WorkQueue {
    WorkQueue(const Session& session, const p2prdma_queue& queue);

    std::uint32_t ring_offset;
    std::uint32_t doorbell_offset;
    WatchedMapping ring;
    WatchedMapping doorbell;

    [[nodiscard]] std::span<volatile std::byte> entries() const noexcept
    {
        return ring.span().subspan(ring_offset);
    }
    [[nodiscard]] volatile std::uint32_t* bell() const noexcept
    {
        return reinterpret_cast<volatile std::uint32_t*>(doorbell.span().data() + doorbell_offset);
    }
};

struct QueuePair::State {
    State(const Session& session, const p2prdma_qp_create_reply& reply,
          std::shared_ptr<CompletionQueue::State> for_send,
          std::shared_ptr<CompletionQueue::State> for_receive);
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() = default;

    // What goes first is last: queues and mappings, the queue pair, then what it depends on.
    std::shared_ptr<CompletionQueue::State> send_cq;
    std::shared_ptr<CompletionQueue::State> receive_cq;
    /// An adapter does not give up a counter while its queue pair is there.
    std::vector<std::shared_ptr<const HostObject>> counters;
    HostObject object;
    std::uint16_t number;
    WorkQueue send_memory;
    std::optional<WorkQueue> receive_memory;
    EfaSendQueue send;
    std::optional<EfaReceiveQueue> receive;
    std::optional<Attachment> send_attachment;    ///< for both, if they complete in one queue
    std::optional<Attachment> receive_attachment; ///< else

private:
    [[nodiscard]] EfaReceiveQueue* receive_queue() noexcept
    {
        return receive ? &*receive : nullptr;
    }
    void attach();
};

} // namespace p2prdma::direct
