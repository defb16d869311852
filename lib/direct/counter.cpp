// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/counter.hpp"

#include "lib/direct/queue_pair_state.hpp"
#include "lib/direct/target.hpp"
#include "p2prdma/direct/event.hpp"
#include "p2prdma/direct/memory.hpp"

namespace p2prdma::direct {
namespace {

/// A counter with what it counts into.
struct KeptCounter {
    KeptCounter(std::shared_ptr<const Target> of, const Session& session, std::uint32_t id)
        : target(std::move(of)), object(session.link(), P2PRDMA_OP_COUNTER_DESTROY, id)
    {
    }

    std::shared_ptr<const Target> target;
    HostObject object; // goes first
};

} // namespace

Counter::Counter(const Session& session, QueuePair& queue_pair, std::uint32_t operations,
                 const Event& event)
    : target_(event.target())
{
    make(session, queue_pair, operations, 0);
}

Counter::Counter(const Session& session, QueuePair& queue_pair, std::uint32_t operations,
                 const Memory& memory, std::uint64_t offset)
    : target_(memory.target())
{
    make(session, queue_pair, operations, offset);
}

void Counter::make(const Session& session, QueuePair& queue_pair, std::uint32_t operations,
                   std::uint64_t offset)
{
    p2prdma_counter_create_request request = {};
    request.qp = little(queue_pair.state()->object.id());
    request.ops = little(operations);
    request.target = little(target_->object.id());
    request.offset = little(offset);
    auto& counters = queue_pair.state()->counters;
    counters.reserve(counters.size() + 1);
    const auto reply = session.link()->ask<p2prdma_id_reply>(P2PRDMA_OP_COUNTER_CREATE, request,
                                                             "make a completion counter");
    const auto kept = std::make_shared<KeptCounter>(target_, session, little(reply.id));
    object_ = std::shared_ptr<const HostObject>(kept, &kept->object);
    counters.push_back(object_);
}

} // namespace p2prdma::direct
