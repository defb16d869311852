// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// What the same control calls as those of control_card cost on the host: by verbs, on card memory.
// Prints one JSON object.

#include "tests/bench/stopwatch.hpp"

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>
#include <p2prdma/card.hpp>
#include <p2prdma/memory_region.hpp>

#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>

namespace {

constexpr int rounds = 50;
constexpr int access_flags =
    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;

struct Close {
    void operator()(ibv_context* context) const { ibv_close_device(context); }
    void operator()(ibv_pd* pd) const { ibv_dealloc_pd(pd); }
    void operator()(ibv_cq* cq) const { ibv_destroy_cq(cq); }
    void operator()(ibv_qp* qp) const { ibv_destroy_qp(qp); }
    void operator()(ibv_ah* ah) const { ibv_destroy_ah(ah); }
    void operator()(ibv_comp_cntr* counter) const { ibv_destroy_comp_cntr(counter); }
};

template <class T>
std::unique_ptr<T, Close> made(T* object, const char* what)
{
    if (!object)
        throw std::runtime_error(std::string("cannot make ") + what);
    return std::unique_ptr<T, Close>(object);
}

std::unique_ptr<ibv_context, Close> open_adapter()
{
    ibv_device** list = ibv_get_device_list(nullptr);
    ibv_context* context = list && list[0] ? ibv_open_device(list[0]) : nullptr;
    ibv_free_device_list(list);
    return made(context, "a context");
}

class Host {
public:
    void memory() const { (void)card_.allocate(65536).map(); }
    void region() const { const p2prdma::MemoryRegion region(pd_.get(), memory_, access_flags); }
    void address_handle() const
    {
        ibv_ah_attr address = {};
        address.is_global = 1;
        address.port_num = 1;
        address.grh.dgid = gid_; // as the card's program knows it
        made(ibv_create_ah(pd_.get(), &address), "an address handle");
    }
    std::unique_ptr<ibv_cq, Close> completion_queue() const
    {
        const auto memory = card_.allocate(4096);
        ibv_cq_init_attr_ex common = {};
        common.cqe = 128;
        common.wc_flags = IBV_WC_STANDARD_FLAGS;
        efadv_cq_init_attr efa = {};
        efa.flags = EFADV_CQ_INIT_FLAGS_EXT_MEM_DMABUF;
        efa.ext_mem_dmabuf.fd = memory.fd();
        efa.ext_mem_dmabuf.length = memory.length();
        auto* cq = efadv_create_cq(context_.get(), &common, &efa, sizeof(efa));
        return made(cq ? ibv_cq_ex_to_cq(cq) : nullptr, "a completion queue");
    }
    void queue_pair(ibv_cq* cq) const { (void)ready_queue_pair(cq); }
    /// With a queue pair for it, to which it belongs until that goes.
    void queue_pair_with_counter(ibv_cq* cq) const
    {
        ibv_comp_cntr_init_attr common = {};
        efadv_comp_cntr_init_attr efa = {};
        efa.flags = EFADV_COMP_CNTR_INIT_WITH_COMP_EXTERNAL_MEM;
        efa.comp_cntr_ext_mem.type = EFADV_MEMORY_LOCATION_DMABUF;
        efa.comp_cntr_ext_mem.dmabuf.fd = memory_.fd();
        const auto counter =
            made(efadv_create_comp_cntr(context_.get(), &common, &efa, sizeof(efa)), "a counter");
        const auto qp = ready_queue_pair(cq); // goes first
        ibv_qp_attach_comp_cntr_attr attributes = {};
        attributes.op_mask = IBV_QP_ATTACH_COMP_CNTR_OP_RDMA_WRITE;
        if (ibv_set_comp_cntr(counter.get(), 0) ||
            ibv_qp_attach_comp_cntr(qp.get(), counter.get(), &attributes))
            throw std::runtime_error("cannot attach a counter");
    }

private:
    std::unique_ptr<ibv_qp, Close> ready_queue_pair(ibv_cq* cq) const
    {
        ibv_qp_init_attr attributes = {};
        attributes.qp_type = IBV_QPT_DRIVER;
        attributes.send_cq = attributes.recv_cq = cq;
        attributes.cap = {64, 1, 1, 1, 32};
        auto qp = made(efadv_create_driver_qp(pd_.get(), &attributes, EFADV_QP_DRIVER_TYPE_SRD),
                       "a queue pair");
        modify(qp.get(), IBV_QPS_INIT,
               IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);
        modify(qp.get(), IBV_QPS_RTR, IBV_QP_STATE);
        modify(qp.get(), IBV_QPS_RTS, IBV_QP_STATE | IBV_QP_SQ_PSN);
        return qp;
    }
    static ibv_gid gid_of(ibv_context* context)
    {
        ibv_gid gid = {};
        if (ibv_query_gid(context, 1, 0, &gid))
            throw std::runtime_error("cannot query the GID");
        return gid;
    }
    static void modify(ibv_qp* qp, ibv_qp_state state, int mask)
    {
        ibv_qp_attr attributes = {};
        attributes.qp_state = state;
        attributes.port_num = 1;
        if (ibv_modify_qp(qp, &attributes, mask))
            throw std::runtime_error("cannot modify the queue pair");
    }

    p2prdma::Card card_ = p2prdma::Card::open(0);
    p2prdma::Memory memory_ = card_.allocate(65536);
    std::unique_ptr<ibv_context, Close> context_ = open_adapter();
    ibv_gid gid_ = gid_of(context_.get());
    std::unique_ptr<ibv_pd, Close> pd_ = made(ibv_alloc_pd(context_.get()), "a domain");
};

void run()
{
    const Host host;
    const auto cq = host.completion_queue();
    const auto print = [](const char* name, auto operation, const char* end) {
        std::printf("\"%s\": %.1f%s", name, bench::median_microseconds(rounds, operation), end);
    };
    std::printf("{\"rounds\": %d, ", rounds);
    print(
        "memory", [&] { host.memory(); }, ", ");
    print(
        "region", [&] { host.region(); }, ", ");
    print(
        "address_handle", [&] { host.address_handle(); }, ", ");
    print(
        "completion_queue", [&] { (void)host.completion_queue(); }, ", ");
    print(
        "queue_pair", [&] { host.queue_pair(cq.get()); }, ", ");
    print(
        "queue_pair_with_counter", [&] { host.queue_pair_with_counter(cq.get()); }, "}\n");
}

} // namespace

int main()
try {
    run();
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "control_host: %s\n", error.what());
    return 1;
}
