// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/efa_objects.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace p2prdma::daemon {
namespace {

constexpr std::uint32_t page = 4096;
/// Of a completion, at most: the driver may use the smaller one.
constexpr std::uint32_t largest_completion = 32;
constexpr std::uint32_t small_request = 64;
constexpr std::uint32_t small_request_inline = 32;
constexpr std::uint32_t large_request = 128;

constexpr std::uint64_t whole_pages(std::uint64_t bytes)
{
    return (bytes + page - 1) / page * page;
}

std::span<const volatile std::byte> bytes_of(const volatile void* address, std::uint64_t length)
{
    return {static_cast<const volatile std::byte*>(address), length};
}

ibv_cq* cq_of(const std::shared_ptr<CompletionQueue>& cq)
{
    return static_cast<const EfaCompletionQueue&>(*cq).cq.get();
}

/// As many that the ring fills whole pages: what shares a page cannot be given away alone.
std::uint32_t entries_for(std::uint32_t wished, std::uint32_t size)
{
    return std::bit_ceil(std::max(wished, page / size));
}

} // namespace

EfaRegion::EfaRegion(std::shared_ptr<EfaContext> context, std::shared_ptr<Target> target,
                     std::uint64_t offset, std::uint64_t bytes, std::uint32_t access)
    : residence(std::move(context), *this, Rank::other), memory(std::move(target)),
      region(made(ibv_reg_dmabuf_mr(residence->pd(), offset, bytes, 0, memory->dmabuf(),
                                    static_cast<int>(access)),
                  "the memory region"))
{
    lkey = region->lkey;
    rkey = region->rkey;
    address = 0; // of the region's first byte: the card knows no other
}

EfaCompletionQueue::EfaCompletionQueue(std::shared_ptr<EfaContext> context, const Card& card,
                                       std::uint32_t depth)
    : residence(std::move(context), *this, Rank::other),
      memory(card.allocate(whole_pages(std::uint64_t(std::bit_ceil(depth)) * largest_completion),
                           {.cache = Cache::uncached}))
{
    ibv_cq_init_attr_ex common = {};
    common.cqe = std::bit_ceil(depth);
    common.wc_flags = IBV_WC_STANDARD_FLAGS;
    efadv_cq_init_attr efa = {};
    efa.flags = EFADV_CQ_INIT_FLAGS_EXT_MEM_DMABUF;
    efa.ext_mem_dmabuf.fd = memory.fd();
    efa.ext_mem_dmabuf.length = memory.length();
    auto* made_cq = efadv_create_cq(residence->get(), &common, &efa, sizeof(efa));
    cq = made(made_cq ? ibv_cq_ex_to_cq(made_cq) : nullptr, "the completion queue");
    efadv_cq_attr attributes = {};
    succeed(efadv_query_cq(cq.get(), &attributes, sizeof(attributes)),
            "to describe its completion queue");
    place = {P2PRDMA_GRANT_POOL, memory.card_offset().value_or(0), memory.length(), true, false};
    entries = attributes.num_entries;
    entry_size = attributes.entry_size;
    if (std::uint64_t(entries) * entry_size > memory.length())
        throw Refusal(EIO, "the completion queue is larger than its memory");
}

CompletionWatch::Queue EfaCompletionQueue::seen()
{
    if (!mapping_)
        mapping_ = std::make_unique<GuardedMapping>(memory);
    return {mapping_->span(), entries, entry_size};
}

EfaWatch::EfaWatch(Relay& by, const EfaQueuePair& qp, std::uint32_t operations,
                   std::shared_ptr<CardEvent> event)
    : relay(by), queues({qp.send_cq})
{
    if (qp.receive_cq != qp.send_cq)
        queues.push_back(qp.receive_cq);
    for (const auto& queue : queues)
        watches.emplace_back(static_cast<EfaCompletionQueue&>(*queue).seen(),
                             static_cast<std::uint16_t>(qp.number), operations);
    relayed = relay.add(
        [this] {
            Count sum;
            for (auto& watch : watches)
                sum += watch.look();
            return sum;
        },
        [event = std::move(event)](std::optional<std::uint64_t> value) { event->raise(value); },
        Relay::Misses::something);
}

EfaCounter::EfaCounter(std::shared_ptr<EfaContext> context, Relay& by, std::shared_ptr<Target> of,
                       std::uint64_t offset)
    : residence(std::move(context), *this, Rank::counter), relay(by), target(std::move(of))
{
    create(dynamic_cast<const Event*>(target.get()), offset);
}

EfaCounter::~EfaCounter()
{
    dispose();
}

/// Both of an event's counters lead to its page: an error must wake, too, but not be taken for the
/// number of completions.
void EfaCounter::create(const Event* event, std::uint64_t offset)
{
    ibv_comp_cntr_init_attr common = {};
    efadv_comp_cntr_init_attr efa = {};
    const bool external = !event || event->kind == P2PRDMA_EVENT_P2P;
    if (external) {
        efa.flags = EFADV_COMP_CNTR_INIT_WITH_COMP_EXTERNAL_MEM;
        efa.comp_cntr_ext_mem.type = EFADV_MEMORY_LOCATION_DMABUF;
        efa.comp_cntr_ext_mem.dmabuf.fd = target->dmabuf();
        efa.comp_cntr_ext_mem.dmabuf.offset = offset;
    }
    if (event && external) {
        efa.flags |= EFADV_COMP_CNTR_INIT_WITH_ERR_EXTERNAL_MEM;
        efa.err_cntr_ext_mem = efa.comp_cntr_ext_mem;
        efa.err_cntr_ext_mem.dmabuf.offset = offset + doorbell_wake;
    }
    counter = made(efadv_create_comp_cntr(residence->get(), &common, &efa, sizeof(efa)),
                   "the completion counter");
}

Count EfaCounter::count() const
{
    Count count;
    if (counter) {
        ibv_read_comp_cntr(counter.get(), &count.completions);
        ibv_read_err_comp_cntr(counter.get(), &count.others);
    }
    return count;
}

void EfaCounter::attach(ibv_qp* qp, std::uint32_t operations)
{
    // A new counter is 0; what is in the client's memory may be anything.
    if (!dynamic_cast<const Event*>(target.get()))
        succeed(ibv_set_comp_cntr(counter.get(), 0), "to clear the counter");
    ibv_qp_attach_comp_cntr_attr attributes = {};
    attributes.op_mask = operations;
    succeed(ibv_qp_attach_comp_cntr(qp, counter.get(), &attributes), "to attach the counter");
    if (auto event = std::dynamic_pointer_cast<CardEvent>(target);
        event && event->kind == P2PRDMA_EVENT_RELAY)
        relayed = relay.add([this] { return count(); },
                            [event](std::optional<std::uint64_t> value) { event->raise(value); });
}

void EfaCounter::dispose() noexcept
{
    if (relayed)
        relay.remove(*std::exchange(relayed, std::nullopt));
    counter.reset();
}

EfaQueuePair::EfaQueuePair(std::shared_ptr<EfaContext> context, const Card& card,
                           const HcaRegisters& registers, const QueuePairWish& wish)
    : residence(std::move(context), *this, Rank::queue_pair), send_cq(wish.send_cq),
      receive_cq(wish.receive_cq)
{
    create(wish);
    make_ready(wish.qkey);
    open_windows(card, registers, wish.receive_entries > 0);
    number = qp->qp_num;
}

EfaQueuePair::~EfaQueuePair()
{
    windows.clear();
    dispose();
}

void EfaQueuePair::create(const QueuePairWish& wish)
{
    const bool large = wish.inline_bytes > small_request_inline;
    ibv_qp_init_attr_ex common = {};
    common.qp_type = IBV_QPT_DRIVER;
    common.send_cq = cq_of(send_cq);
    common.recv_cq = cq_of(receive_cq);
    common.cap.max_send_wr = entries_for(wish.send_entries, large ? large_request : small_request);
    common.cap.max_send_sge = 1;
    common.cap.max_recv_wr = std::bit_ceil(std::max(wish.receive_entries, 1u));
    common.cap.max_recv_sge = 1;
    common.cap.max_inline_data = wish.inline_bytes;
    common.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
    common.pd = residence->pd();
    common.send_ops_flags =
        IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_RDMA_WRITE;
    efadv_qp_init_attr efa = {};
    efa.driver_qp_type = EFADV_QP_DRIVER_TYPE_SRD;
    efa.flags = large ? EFADV_QP_FLAGS_INLINE_WRITE : 0;
    qp = made(efadv_create_qp_ex(residence->get(), &common, &efa, sizeof(efa)), "the queue pair");
}

void EfaQueuePair::make_ready(std::uint32_t qkey)
{
    ibv_qp_attr attributes = {};
    attributes.qp_state = IBV_QPS_INIT;
    attributes.port_num = 1;
    attributes.qkey = qkey;
    succeed(ibv_modify_qp(qp.get(), &attributes,
                          IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY),
            "to initialise the queue pair");
    attributes.qp_state = IBV_QPS_RTR;
    succeed(ibv_modify_qp(qp.get(), &attributes, IBV_QP_STATE),
            "to ready the queue pair to receive");
    attributes.qp_state = IBV_QPS_RTS;
    succeed(ibv_modify_qp(qp.get(), &attributes, IBV_QP_STATE | IBV_QP_SQ_PSN),
            "to ready the queue pair to send");
}

Placement EfaQueuePair::open_window(const Card& card, const HcaRange& range, Access access)
{
    const auto& window = windows.emplace_back(
        card.open_window(range.dmabuf.get(), range.offset, range.length, access));
    return {P2PRDMA_GRANT_WINDOW, window.aperture_offset(), window.length(),
            range.cache == Cache::uncached, false};
}

void EfaQueuePair::open_windows(const Card& card, const HcaRegisters& registers, bool with_receive)
{
    efadv_wq_attr sq = {};
    efadv_wq_attr rq = {};
    succeed(efadv_query_qp_wqs(qp.get(), &sq, &rq, sizeof(sq)), "to describe its queues");
    auto& context = *residence->get();
    const auto doorbell = [&](const efadv_wq_attr& queue) {
        return registers.doorbell(context, bytes_of(queue.doorbell, sizeof(std::uint32_t)));
    };
    send = {.ring = open_window(
                card,
                registers.queue(context,
                                bytes_of(sq.buffer, std::uint64_t(sq.entry_size) * sq.num_entries)),
                Access::write),
            .doorbell = open_window(card, doorbell(sq), Access::write),
            .entry_size = sq.entry_size,
            .entries = sq.num_entries,
            .max_batch = sq.max_batch};
    if (!with_receive)
        return;
    const auto ring_bytes = whole_pages(std::uint64_t(rq.entry_size) * rq.num_entries);
    receive = {.ring = open_window(card, registers.ring(context, bytes_of(rq.buffer, ring_bytes)),
                                   Access::write),
               .doorbell = open_window(card, doorbell(rq), Access::write),
               .entry_size = rq.entry_size,
               .entries = rq.num_entries,
               .max_batch = rq.max_batch};
}

/// Nothing may lead to queue memory that is about to be another's. The windows' slots stay taken
/// until the card has unmapped them.
void EfaQueuePair::dispose() noexcept
{
    std::ranges::for_each(windows, &Window::shut);
    if (qp) {
        ibv_qp_attr attributes = {};
        attributes.qp_state = IBV_QPS_ERR;
        ibv_modify_qp(qp.get(), &attributes, IBV_QP_STATE); // an adapter that is gone cannot
    }
    qp.reset();
}

bool EfaQueuePair::lost() const noexcept
{
    return !std::ranges::all_of(windows, &Window::is_open);
}

EfaAddressHandle::EfaAddressHandle(std::shared_ptr<EfaContext> context,
                                   const std::array<std::uint8_t, 16>& gid)
    : residence(std::move(context), *this, Rank::other)
{
    ibv_ah_attr address = {};
    address.is_global = 1;
    address.port_num = 1;
    std::memcpy(address.grh.dgid.raw, gid.data(), gid.size());
    handle = made(ibv_create_ah(residence->pd(), &address), "the address");
    efadv_ah_attr attributes = {};
    succeed(efadv_query_ah(handle.get(), &attributes, sizeof(attributes)),
            "to tell the address's number");
    number = attributes.ahn;
}

} // namespace p2prdma::daemon
