// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/queue_pair.hpp"

#include "lib/direct/completion_queue_state.hpp"
#include "lib/direct/granted_range.hpp"
#include "lib/direct/queue_pair_state.hpp"
#include "lib/internal.hpp"

#include <bit>
#include <cerrno>
#include <string>

#include <sys/random.h>

namespace p2prdma::direct {
namespace {

std::uint32_t random_key()
{
    std::uint32_t key = 0;
    if (::getrandom(&key, sizeof(key), 0) != sizeof(key))
        throw internal::system_error(errno, "cannot get a random number");
    return key & 0x7fffffff; // the upper half is for privileged queue pairs
}

EfaSendQueue::Config send_config(const WorkQueue& memory, const p2prdma_queue& queue,
                                 std::uint16_t generation)
{
    return {memory.entries(),         memory.bell(),           little(queue.entries),
            little(queue.entry_size), little(queue.max_batch), generation};
}

} // namespace

WorkQueue::WorkQueue(const Session& session, const p2prdma_queue& queue)
    : ring_offset(little(queue.ring_offset)), doorbell_offset(little(queue.doorbell_offset)),
      ring(map_ring(session, little(queue.ring_grant), ring_offset, little(queue.entries),
                    little(queue.entry_size))),
      doorbell(map_ring(session, little(queue.doorbell_grant), doorbell_offset, 1,
                        sizeof(std::uint32_t)))
{
}

QueuePair::State::State(const Session& session, const p2prdma_qp_create_reply& reply,
                        std::shared_ptr<CompletionQueue::State> for_send,
                        std::shared_ptr<CompletionQueue::State> for_receive)
    : send_cq(std::move(for_send)), receive_cq(std::move(for_receive)),
      object(session.link(), P2PRDMA_OP_QP_DESTROY, little(reply.id)),
      number(static_cast<std::uint16_t>(little(reply.number))), send_memory(session, reply.send),
      send(send_config(send_memory, reply.send, ++send_cq->generation))
{
    if (reply.receive.ring_grant) {
        receive_memory.emplace(session, reply.receive);
        receive.emplace(EfaReceiveQueue::Config{receive_memory->entries(), receive_memory->bell(),
                                                little(reply.receive.entries),
                                                ++receive_cq->generation});
    }
    attach();
}

void QueuePair::State::attach()
{
    const auto receive_entries = receive ? receive->entries() : 0;
    if (send_cq == receive_cq) {
        send_attachment.emplace(
            send_cq->queue, send_cq->claimed,
            Attachment::Queues{number, &send, receive_queue(), send.entries() + receive_entries});
        return;
    }
    send_attachment.emplace(send_cq->queue, send_cq->claimed,
                            Attachment::Queues{number, &send, nullptr, send.entries()});
    receive_attachment.emplace(
        receive_cq->queue, receive_cq->claimed,
        Attachment::Queues{number, nullptr, receive_queue(), receive_entries});
}

QueuePair::QueuePair(const Session& session, std::uint32_t adapter, CompletionQueue& send_queue,
                     CompletionQueue& receive_queue, const QueuePairOptions& options)
    : key_(options.key ? *options.key : random_key())
{
    p2prdma_qp_create_request request = {};
    request.adapter = little(adapter);
    request.send_cq = little(send_queue.state()->object.id());
    request.receive_cq = little(receive_queue.state()->object.id());
    request.send_entries = little(options.send_entries);
    request.receive_entries = little(options.receive_entries);
    request.inline_bytes = little(options.inline_bytes);
    request.qkey = little(key_);
    const auto reply = session.link()->ask<p2prdma_qp_create_reply>(P2PRDMA_OP_QP_CREATE, request,
                                                                    "make a queue pair");
    state_ = std::make_shared<State>(session, reply, send_queue.state(), receive_queue.state());
    send_ = &state_->send;
    receive_ = state_->receive ? &*state_->receive : nullptr;
    number_ = state_->number;
}

} // namespace p2prdma::direct
