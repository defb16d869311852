// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>
#include <p2prdma/direct/efa_completion_queue.hpp>
#include <p2prdma/direct/efa_receive_queue.hpp>
#include <p2prdma/direct/efa_send_queue.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

/// Queue pairs of EFA adapters of this machine, each of which either the stock provider or
/// lib/direct drives.
namespace efa_rig {

inline constexpr std::uint32_t queue_key = 0x1234567;

template <typename T>
T* need(T* object, const char* what)
{
    if (!object)
        throw std::system_error(errno, std::system_category(), what);
    return object;
}

inline void need(int error, const char* what)
{
    if (error)
        throw std::system_error(error, std::system_category(), what);
}

template <auto Free>
struct Release {
    void operator()(auto* object) const { Free(object); }
};
template <typename T, auto Free>
using Owner = std::unique_ptr<T, Release<Free>>;

/// An adapter with a protection domain and registered memory.
struct Device {
    static constexpr std::size_t size = 1 << 16;
    static constexpr int access =
        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;

    explicit Device(const std::string& name)
        : context(open(name)), pd(need(ibv_alloc_pd(context.get()), "no PD")), memory(size),
          mr(need(ibv_reg_mr(pd.get(), memory.data(), size, access), "no region"))
    {
        need(ibv_query_gid(context.get(), 1, 0, &gid), "no GID");
    }
    static ibv_context* open(const std::string& name)
    {
        const Owner<ibv_device*, ibv_free_device_list> list(
            need(ibv_get_device_list(nullptr), "no list of RDMA devices"));
        for (ibv_device** device = list.get(); *device; ++device) {
            if (name == ibv_get_device_name(*device))
                return need(ibv_open_device(*device), "cannot open the device");
        }
        throw std::runtime_error("there is no " + name);
    }
    ibv_ah* make_ah(const Device& other) const
    {
        ibv_ah_attr attr{};
        attr.is_global = 1;
        attr.port_num = 1;
        attr.grh.dgid = other.gid;
        return need(ibv_create_ah(pd.get(), &attr), "no address handle");
    }
    std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(memory.data()); }

    Owner<ibv_context, ibv_close_device> context;
    Owner<ibv_pd, ibv_dealloc_pd> pd;
    std::vector<std::byte> memory;
    Owner<ibv_mr, ibv_dereg_mr> mr;
    ibv_gid gid{};
};

struct Options {
    std::uint32_t entries = 16;
    bool wide = false; ///< requests of 128 bytes, which hold inline writes
};

/// A queue pair with a completion queue of its own, ready to send.
struct QueuePair {
    static constexpr std::uint32_t cq_entries = 64;

    explicit QueuePair(Device& of, Options wanted = {})
        : device(of), options(wanted), cq(make_cq()), qp(make_qp())
    {
        ibv_qp_attr state{};
        state.qp_state = IBV_QPS_INIT;
        state.port_num = 1;
        state.qkey = queue_key;
        modify(state, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);
        state.qp_state = IBV_QPS_RTR;
        modify(state, IBV_QP_STATE);
        state.qp_state = IBV_QPS_RTS;
        modify(state, IBV_QP_STATE | IBV_QP_SQ_PSN);
        send.comp_mask = receive.comp_mask = completions.comp_mask = 0;
        need(efadv_query_qp_wqs(qp.get(), &send, &receive, sizeof(send)), "no queue addresses");
        need(efadv_query_cq(ibv_cq_ex_to_cq(cq.get()), &completions, sizeof(completions)),
             "no address of the completion queue");
    }
    ibv_qp_ex* work() const { return ibv_qp_to_qp_ex(qp.get()); }

    Device& device;
    Options options;
    struct DestroyCq {
        void operator()(ibv_cq_ex* queue) const { ibv_destroy_cq(ibv_cq_ex_to_cq(queue)); }
    };
    std::unique_ptr<ibv_cq_ex, DestroyCq> cq;
    Owner<ibv_qp, ibv_destroy_qp> qp;
    efadv_wq_attr send{};
    efadv_wq_attr receive{};
    efadv_cq_attr completions{};

private:
    ibv_cq_ex* make_cq() const
    {
        ibv_cq_init_attr_ex attr{};
        attr.cqe = cq_entries;
        attr.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS;
        attr.flags = IBV_CREATE_CQ_ATTR_SINGLE_THREADED; // what lib/direct is, too
        return need(ibv_create_cq_ex(device.context.get(), &attr), "no completion queue");
    }
    ibv_qp* make_qp() const
    {
        ibv_qp_init_attr_ex attr{};
        attr.send_cq = attr.recv_cq = ibv_cq_ex_to_cq(cq.get());
        attr.cap = {.max_send_wr = options.entries,
                    .max_recv_wr = options.entries,
                    .max_send_sge = 1,
                    .max_recv_sge = 1,
                    .max_inline_data = options.wide ? 80u : 32u};
        attr.qp_type = IBV_QPT_DRIVER;
        attr.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
        attr.pd = device.pd.get();
        attr.send_ops_flags =
            IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_RDMA_WRITE;
        efadv_qp_init_attr efa{};
        efa.driver_qp_type = EFADV_QP_DRIVER_TYPE_SRD;
        efa.flags = options.wide ? EFADV_QP_FLAGS_INLINE_WRITE : 0;
        return need(efadv_create_qp_ex(device.context.get(), &attr, &efa, sizeof(efa)),
                    "no queue pair");
    }
    void modify(ibv_qp_attr& attr, int mask) const
    {
        need(ibv_modify_qp(qp.get(), &attr, mask), "cannot modify the queue pair");
    }
};

inline std::span<volatile std::byte> memory_at(std::uint8_t* start, std::size_t length)
{
    return {reinterpret_cast<std::byte*>(start), length};
}

/// lib/direct on the queues of a queue pair that the stock provider does not touch.
struct Direct {
    explicit Direct(const QueuePair& of)
        : send({memory_at(of.send.buffer, of.send.num_entries * of.send.entry_size),
                of.send.doorbell, of.send.num_entries, of.send.entry_size, of.send.max_batch, 1}),
          receive({memory_at(of.receive.buffer, of.receive.num_entries * of.receive.entry_size),
                   of.receive.doorbell, of.receive.num_entries, 1}),
          cq({memory_at(of.completions.buffer,
                        of.completions.num_entries * of.completions.entry_size),
              of.completions.num_entries, of.completions.entry_size})
    {
        cq.attach(static_cast<std::uint16_t>(of.qp->qp_num), &send, &receive);
    }

    p2prdma::direct::EfaSendQueue send;
    p2prdma::direct::EfaReceiveQueue receive;
    p2prdma::direct::EfaCompletionQueue cq;
};

/// How work requests address `to` through `ah`.
inline p2prdma::direct::Peer peer_of(ibv_ah* ah, const QueuePair& to)
{
    efadv_ah_attr attr{};
    need(efadv_query_ah(ah, &attr, sizeof(attr)), "no number of the address handle");
    return {attr.ahn, static_cast<std::uint16_t>(to.qp->qp_num), queue_key};
}

} // namespace efa_rig
