// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/direct/completion_queue_state.hpp"

#include "lib/direct/granted_range.hpp"

namespace p2prdma::direct {

CompletionQueue::State::State(const Session& session, const p2prdma_cq_create_reply& reply)
    : object(session.link(), P2PRDMA_OP_CQ_DESTROY, little(reply.id)),
      mapping(map_ring(session, little(reply.grant), little(std::uint64_t{reply.offset}),
                       little(reply.entries), little(reply.entry_size))),
      queue({ring_in(mapping, little(std::uint64_t{reply.offset})), little(reply.entries),
             little(reply.entry_size)})
{
}

CompletionQueue::CompletionQueue(const Session& session, std::uint32_t adapter,
                                 std::uint32_t entries)
{
    p2prdma_cq_create_request request = {};
    request.adapter = little(adapter);
    request.entries = little(entries);
    const auto reply = session.link()->ask<p2prdma_cq_create_reply>(P2PRDMA_OP_CQ_CREATE, request,
                                                                    "make a completion queue");
    state_ = std::make_shared<State>(session, reply);
    queue_ = &state_->queue;
}

} // namespace p2prdma::direct
