// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/srd_endpoint.hpp"

#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/failure.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <infiniband/efadv.h>

namespace p2prdma::tool {
namespace {

// Of efadv_device_attr.device_caps; older headers lack the second.
constexpr std::uint32_t caps_rdma_read = 1u << 0;
constexpr std::uint32_t caps_rdma_write = 1u << 3;

efadv_device_attr query(const Adapter& adapter)
{
    efadv_device_attr attributes = {};
    const int error = efadv_query_device(adapter.context(), &attributes, sizeof(attributes));
    if (error)
        throw system_failure(error, "cannot query " + adapter.name());
    constexpr auto needed = caps_rdma_read | caps_rdma_write;
    if ((attributes.device_caps & needed) != needed)
        throw Failure(Exit::failed, "unsupported",
                      adapter.name() + " or its libefa cannot write and read remote memory (RDMA)");
    return attributes;
}

} // namespace

SrdEndpoint::SrdEndpoint(const Adapter& adapter, std::uint32_t depth)
    : VerbsEndpoint(adapter, depth), qkey_(static_cast<std::uint32_t>(random_number()))
{
    const auto device = query(adapter);
    set_limits(std::min(depth, device.max_sq_wr), device.max_rdma_size);
    create_queue_pair();
    ibv_qp_attr attributes = {};
    attributes.qp_state = IBV_QPS_INIT;
    attributes.port_num = adapter.port();
    attributes.qkey = qkey_;
    modify(attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY,
           "initialise the queue pair");
    attributes.qp_state = IBV_QPS_RTR;
    modify(attributes, IBV_QP_STATE, "ready the queue pair to receive");
    attributes.qp_state = IBV_QPS_RTS;
    modify(attributes, IBV_QP_STATE | IBV_QP_SQ_PSN, "ready the queue pair to send");
}

void SrdEndpoint::create_queue_pair()
{
    ibv_qp_init_attr_ex common = {};
    common.qp_type = IBV_QPT_DRIVER;
    common.send_cq = cq();
    common.recv_cq = cq();
    common.cap.max_send_wr = depth();
    common.cap.max_send_sge = 1;
    common.cap.max_recv_wr = 1; // nothing is ever received
    common.cap.max_recv_sge = 1;
    common.sq_sig_all = 1;
    common.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
    common.pd = adapter().pd();
    common.send_ops_flags = IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_READ;
    efadv_qp_init_attr efa = {};
    efa.driver_qp_type = EFADV_QP_DRIVER_TYPE_SRD;
    qp_.reset(efadv_create_qp_ex(adapter().context(), &common, &efa, sizeof(efa)));
    require(qp_ ? 0 : errno, "create an SRD queue pair");
    requests_ = ibv_qp_to_qp_ex(qp_.get());
}

void SrdEndpoint::modify(ibv_qp_attr attributes, int mask, const char* step)
{
    require(ibv_modify_qp(qp_.get(), &attributes, mask), step);
}

wire::Hello SrdEndpoint::address() const
{
    auto hello = base_address(0); // an EFA port has one GID
    hello.qp_number = qp_->qp_num;
    hello.qkey = qkey_;
    return hello;
}

void SrdEndpoint::connect(const wire::Hello& peer)
{
    ibv_ah_attr address = {};
    address.is_global = 1;
    address.port_num = adapter().port();
    std::memcpy(address.grh.dgid.raw, peer.gid.data(), peer.gid.size());
    peer_.reset(ibv_create_ah(adapter().pd(), &address));
    require(peer_ ? 0 : errno, "address the peer");
    peer_number_ = peer.qp_number;
    peer_qkey_ = peer.qkey;
}

void SrdEndpoint::begin(std::uint64_t id)
{
    ibv_wr_start(requests_);
    requests_->wr_id = id;
    requests_->wr_flags = IBV_SEND_SIGNALED;
}

void SrdEndpoint::end(const LocalRange& range, const char* step)
{
    ibv_wr_set_sge(requests_, range.lkey, range.address, range.length);
    ibv_wr_set_ud_addr(requests_, peer_.get(), peer_number_, peer_qkey_);
    require(ibv_wr_complete(requests_), step);
}

void SrdEndpoint::write(std::uint64_t id, const LocalRange& from, const RemotePlace& to)
{
    begin(id);
    ibv_wr_rdma_write(requests_, to.rkey, to.address);
    end(from, "post an RDMA write");
}

void SrdEndpoint::read(std::uint64_t id, const LocalRange& into, const RemotePlace& from)
{
    begin(id);
    ibv_wr_rdma_read(requests_, from.rkey, from.address);
    end(into, "post an RDMA read");
}

} // namespace p2prdma::tool
