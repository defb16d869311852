// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/efa_session.hpp"

#include "tools/p2prdmad/efa_objects.hpp"

#include <cerrno>

namespace p2prdma::daemon {
namespace {

constexpr std::uint32_t all_access =
    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
constexpr std::uint32_t most_entries = 1u << 16; ///< of a queue, before the adapter is asked

void check_entries(std::uint32_t entries)
{
    if (entries > most_entries)
        throw Refusal(EINVAL, "more entries than any adapter has");
}

} // namespace

EfaSession::EfaSession(const Shared& shared, const AdapterInfo& info,
                       std::shared_ptr<EfaContext> context)
    : shared_(shared), info_(info), context_(std::move(context))
{
}

std::shared_ptr<Region> EfaSession::register_target(const std::shared_ptr<Target>& target,
                                                    std::uint64_t offset, std::uint64_t length,
                                                    std::uint32_t access)
{
    context_->require_alive();
    if (!info_.reaches_card)
        throw Refusal(EOPNOTSUPP, "the card's memory is out of reach: " + info_.no_path);
    if (access & ~all_access)
        throw Refusal(EINVAL, "access bits are out of range");
    return std::make_shared<EfaRegion>(context_, target, offset, length, access);
}

std::shared_ptr<CompletionQueue> EfaSession::create_cq(std::uint32_t entries)
{
    context_->require_alive();
    if (!(info_.caps & P2PRDMA_ADAPTER_CQ_IN_CARD))
        throw Refusal(EOPNOTSUPP, "no completion queue in card memory: " + info_.no_path);
    check_entries(entries);
    return std::make_shared<EfaCompletionQueue>(context_, shared_.card, entries);
}

std::shared_ptr<QueuePair> EfaSession::create_qp(const QueuePairWish& wish)
{
    context_->require_alive();
    check_entries(wish.send_entries);
    check_entries(wish.receive_entries);
    auto qp = std::make_shared<EfaQueuePair>(context_, shared_.card, shared_.registers(), wish);
    shared_.made(qp);
    return qp;
}

std::shared_ptr<AddressHandle> EfaSession::create_ah(const std::array<std::uint8_t, 16>& gid)
{
    context_->require_alive();
    if (shared_.may_address && !shared_.may_address(gid))
        throw Refusal(EOPNOTSUPP, "the policy does not allow to address that adapter");
    return std::make_shared<EfaAddressHandle>(context_, gid);
}

std::shared_ptr<Counter> EfaSession::create_counter(const std::shared_ptr<QueuePair>& qp,
                                                    std::uint32_t operations,
                                                    const std::shared_ptr<Target>& target,
                                                    std::uint64_t offset)
{
    context_->require_alive();
    auto& efa_qp = static_cast<EfaQueuePair&>(*qp);
    efa_qp.counters.reserve(efa_qp.counters.size() + 1);
    std::shared_ptr<Counter> made;
    if (info_.caps & P2PRDMA_ADAPTER_COUNTER) {
        auto counter = std::make_shared<EfaCounter>(context_, shared_.relay, target, offset);
        counter->attach(efa_qp.qp.get(), operations);
        made = std::move(counter);
    } else {
        made = watch(efa_qp, operations, std::dynamic_pointer_cast<CardEvent>(target));
    }
    efa_qp.counters.push_back(made);
    return made;
}

/// What the adapter cannot count is counted in the completion queues.
std::shared_ptr<Counter> EfaSession::watch(EfaQueuePair& qp, std::uint32_t operations,
                                           const std::shared_ptr<CardEvent>& event) const
{
    constexpr std::uint32_t of_peers =
        IBV_QP_ATTACH_COMP_CNTR_OP_REMOTE_RDMA_READ | IBV_QP_ATTACH_COMP_CNTR_OP_REMOTE_RDMA_WRITE;
    if (!event || event->kind != P2PRDMA_EVENT_RELAY)
        throw Refusal(EOPNOTSUPP, "no counter in card memory: " + info_.relay_reason);
    if (operations & of_peers)
        throw Refusal(EOPNOTSUPP, "what peers read and write is not reported in a completion "
                                  "queue, and cannot be relayed: " +
                                      info_.relay_reason);
    if (operations & qp.watched)
        throw Refusal(EBUSY, "the queue pair has a counter for the operation");
    auto made = std::make_shared<EfaWatch>(shared_.relay, qp, operations, event);
    qp.watched |= operations;
    return made;
}

} // namespace p2prdma::daemon
