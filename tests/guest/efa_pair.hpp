// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <infiniband/efadv.h>
#include <infiniband/verbs.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// Queue pairs of two adapters of one machine, through libefa.
namespace efa_pair {

inline constexpr std::size_t size = 1 << 20;
inline constexpr std::uint32_t qkey = 0x1234567;
inline constexpr int access =
    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;

template <auto Free>
struct Release {
    template <typename T>
    void operator()(T* object) const
    {
        Free(object);
    }
};
template <typename T, auto Free>
using Owner = std::unique_ptr<T, Release<Free>>;

/// What must not be null, or the test ends with the error.
template <typename T>
T* need(T* object, const char* what)
{
    INFO(what << ": " << std::strerror(errno));
    REQUIRE(object != nullptr);
    return object;
}

inline ibv_context* open_device(const std::string& name)
{
    Owner<ibv_device*, ibv_free_device_list> list(
        need(ibv_get_device_list(nullptr), "no list of RDMA devices"));
    for (ibv_device** device = list.get(); *device; ++device) {
        if (name == ibv_get_device_name(*device))
            return need(ibv_open_device(*device), "cannot open the device");
    }
    FAIL("there is no " << name);
    return nullptr;
}

/// A queue pair with all that it needs, and a registered buffer.
class End {
public:
    /// Makes another completion queue than the usual one.
    using MakeCq = std::function<ibv_cq*(ibv_context*)>;

    explicit End(const std::string& device, std::uint16_t flags = 0, const MakeCq& make = make_cq)
        : context(open_device(device)), pd(need(ibv_alloc_pd(context.get()), "no PD")),
          cq(make(context.get())), buffer(size), mr(make_mr()), qp(make_qp(flags))
    {
        REQUIRE(ibv_query_gid(context.get(), 1, 0, &gid) == 0);
    }

    void connect(const End& other, std::uint8_t rnr_retry = 7)
    {
        ibv_ah_attr attr{};
        attr.is_global = 1;
        attr.port_num = 1;
        attr.grh.dgid = other.gid;
        ah.reset(need(ibv_create_ah(pd.get(), &attr), "no address handle"));
        peer = other.qp->qp_num;
        ibv_qp_attr state{};
        state.qp_state = IBV_QPS_INIT;
        state.port_num = 1;
        state.qkey = qkey;
        modify(state, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);
        state.qp_state = IBV_QPS_RTR;
        modify(state, IBV_QP_STATE);
        state.qp_state = IBV_QPS_RTS;
        state.rnr_retry = rnr_retry;
        modify(state, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_RNR_RETRY);
    }

    ibv_qp_ex* work() { return ibv_qp_to_qp_ex(qp.get()); }
    /// Addresses the request that was just begun, and rings the doorbell.
    void submit()
    {
        ibv_wr_set_ud_addr(work(), ah.get(), peer, qkey);
        REQUIRE(ibv_wr_complete(work()) == 0);
    }
    void begin()
    {
        work()->wr_id = 1;
        work()->wr_flags = IBV_SEND_SIGNALED;
        ibv_wr_start(work());
    }
    void write(std::uint64_t remote, std::uint32_t rkey, std::uint32_t length)
    {
        begin();
        ibv_wr_rdma_write(work(), rkey, remote);
        ibv_wr_set_sge(work(), mr->lkey, address(), length);
        submit();
    }
    void read(std::uint64_t remote, std::uint32_t rkey, std::uint32_t length)
    {
        begin();
        ibv_wr_rdma_read(work(), rkey, remote);
        ibv_wr_set_sge(work(), mr->lkey, address(), length);
        submit();
    }
    void send(std::uint32_t length)
    {
        begin();
        ibv_wr_send(work());
        ibv_wr_set_sge(work(), mr->lkey, address(), length);
        submit();
    }
    void post_receive(std::uint32_t length)
    {
        ibv_sge sge{address(), length, mr->lkey};
        ibv_recv_wr request{};
        request.sg_list = &sge;
        request.num_sge = 1;
        ibv_recv_wr* bad = nullptr;
        REQUIRE(ibv_post_recv(qp.get(), &request, &bad) == 0);
    }
    ibv_wc next()
    {
        ibv_wc completion{};
        auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        int found = 0;
        while (found == 0 && std::chrono::steady_clock::now() < end)
            found = ibv_poll_cq(cq.get(), 1, &completion);
        REQUIRE(found == 1);
        return completion;
    }
    std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(buffer.data()); }

    Owner<ibv_context, ibv_close_device> context;
    Owner<ibv_pd, ibv_dealloc_pd> pd;
    Owner<ibv_cq, ibv_destroy_cq> cq;
    std::vector<unsigned char> buffer;
    Owner<ibv_mr, ibv_dereg_mr> mr;
    Owner<ibv_qp, ibv_destroy_qp> qp;
    Owner<ibv_ah, ibv_destroy_ah> ah;
    ibv_gid gid{};
    std::uint32_t peer = 0;

private:
    static ibv_cq* make_cq(ibv_context* context)
    {
        return need(ibv_create_cq(context, 64, nullptr, nullptr, 0), "no CQ");
    }
    ibv_mr* make_mr() { return need(ibv_reg_mr(pd.get(), buffer.data(), size, access), "no MR"); }
    ibv_qp* make_qp(std::uint16_t flags)
    {
        ibv_qp_init_attr_ex attr{};
        attr.send_cq = attr.recv_cq = cq.get();
        attr.cap = {.max_send_wr = 16,
                    .max_recv_wr = 16,
                    .max_send_sge = 1,
                    .max_recv_sge = 1,
                    .max_inline_data = 32};
        attr.qp_type = IBV_QPT_DRIVER;
        attr.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
        attr.pd = pd.get();
        attr.send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_READ |
                              IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM;
        efadv_qp_init_attr efa{};
        efa.driver_qp_type = EFADV_QP_DRIVER_TYPE_SRD;
        efa.flags = flags;
        return need(efadv_create_qp_ex(context.get(), &attr, &efa, sizeof(efa)), "no QP");
    }
    void modify(ibv_qp_attr& attr, int mask)
    {
        INFO("modify to state " << attr.qp_state << ": " << std::strerror(errno));
        REQUIRE(ibv_modify_qp(qp.get(), &attr, mask) == 0);
    }
};

struct Pair {
    explicit Pair(std::uint16_t flags = 0, std::uint8_t rnr_retry = 7)
        : near("efa_0", flags), far("efa_1", flags)
    {
        near.connect(far, rnr_retry);
        far.connect(near, rnr_retry);
        for (std::size_t i = 0; i < size; ++i)
            near.buffer[i] = static_cast<unsigned char>(i * 7 + (i >> 8));
    }
    ibv_wc_status write(std::uint64_t remote, std::uint32_t rkey, std::uint32_t length)
    {
        near.write(remote, rkey, length);
        return near.next().status;
    }

    End near;
    End far;
};

} // namespace efa_pair
