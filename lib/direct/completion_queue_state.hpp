// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/direct/link.hpp"
#include "lib/direct/watched_mapping.hpp"
#include "p2prdma/direct/completion_queue.hpp"

namespace p2prdma::direct {

struct CompletionQueue::State {
    State(const Session& session, const p2prdma_cq_create_reply& reply);

    HostObject object;
    WatchedMapping mapping; // goes first
    EfaCompletionQueue queue;
    std::uint32_t claimed = 0;    ///< entries that queue pairs may need at once
    std::uint16_t generation = 0; ///< of the queue pair that came last
};

} // namespace p2prdma::direct
