// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/rc_endpoint.hpp"

#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/failure.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace p2prdma::tool {
namespace {

// 4.096 us * 2^16 = 268 ms until a packet is sent again, 7 times at most.
constexpr std::uint8_t ack_timeout = 16;
constexpr std::uint8_t retries = 7;
constexpr std::uint8_t min_rnr_timer = 12; // 0.64 ms

} // namespace

RcEndpoint::RcEndpoint(const Adapter& adapter, std::uint32_t depth)
    : VerbsEndpoint(adapter, depth), gid_index_(adapter.gid_index()),
      packet_number_(static_cast<std::uint32_t>(random_number()) & 0xffffff)
{
    ibv_device_attr device = {};
    require(ibv_query_device(adapter.context(), &device), "query the limits");
    set_limits(std::min(depth, static_cast<std::uint32_t>(device.max_qp_wr)),
               adapter.port_attributes().max_msg_sz);
    ibv_qp_init_attr attributes = {};
    attributes.qp_type = IBV_QPT_RC;
    attributes.send_cq = cq();
    attributes.recv_cq = cq();
    attributes.cap.max_send_wr = Endpoint::depth();
    attributes.cap.max_send_sge = 1;
    attributes.cap.max_recv_wr = 1; // nothing is ever received
    attributes.cap.max_recv_sge = 1;
    attributes.sq_sig_all = 1;
    qp_.reset(ibv_create_qp(adapter.pd(), &attributes));
    require(qp_ ? 0 : errno, "create an RC queue pair");
    initialise();
}

void RcEndpoint::initialise()
{
    ibv_qp_attr attributes = {};
    attributes.qp_state = IBV_QPS_INIT;
    attributes.port_num = adapter().port();
    attributes.qp_access_flags =
        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
    require(ibv_modify_qp(qp_.get(), &attributes,
                          IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
            "initialise the queue pair");
}

wire::Hello RcEndpoint::address() const
{
    auto hello = base_address(gid_index_);
    hello.qp_number = qp_->qp_num;
    hello.packet_number = packet_number_;
    return hello;
}

ibv_ah_attr RcEndpoint::path_to(const wire::Hello& peer) const
{
    ibv_ah_attr path = {};
    path.dlid = peer.lid;
    path.port_num = adapter().port();
    // On Ethernet the GID is all there is; on InfiniBand the LID is, within a subnet.
    path.is_global =
        adapter().port_attributes().link_layer == IBV_LINK_LAYER_ETHERNET || peer.lid == 0;
    std::memcpy(path.grh.dgid.raw, peer.gid.data(), peer.gid.size());
    path.grh.sgid_index = gid_index_;
    path.grh.hop_limit = 64;
    return path;
}

void RcEndpoint::connect(const wire::Hello& peer)
{
    ready_to_receive(peer);
    ready_to_send();
}

void RcEndpoint::ready_to_receive(const wire::Hello& peer)
{
    const auto mtu = std::min<int>(peer.mtu, adapter().port_attributes().active_mtu);
    ibv_qp_attr attributes = {};
    attributes.qp_state = IBV_QPS_RTR;
    attributes.ah_attr = path_to(peer);
    attributes.path_mtu = static_cast<ibv_mtu>(mtu);
    attributes.dest_qp_num = peer.qp_number;
    attributes.rq_psn = peer.packet_number;
    attributes.max_dest_rd_atomic = 1;
    attributes.min_rnr_timer = min_rnr_timer;
    require(ibv_modify_qp(qp_.get(), &attributes,
                          IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
                              IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER),
            "connect the queue pair to the peer");
}

void RcEndpoint::ready_to_send()
{
    ibv_qp_attr attributes = {};
    attributes.qp_state = IBV_QPS_RTS;
    attributes.timeout = ack_timeout;
    attributes.retry_cnt = retries;
    attributes.rnr_retry = retries;
    attributes.sq_psn = packet_number_;
    attributes.max_rd_atomic = 1;
    require(ibv_modify_qp(qp_.get(), &attributes,
                          IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                              IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC),
            "ready the queue pair to send");
}

void RcEndpoint::post(ibv_send_wr request, const LocalRange& range, const char* step)
{
    ibv_sge piece = {range.address, range.length, range.lkey};
    request.sg_list = &piece;
    request.num_sge = 1;
    request.send_flags = IBV_SEND_SIGNALED;
    ibv_send_wr* bad = nullptr;
    require(ibv_post_send(qp_.get(), &request, &bad), step);
}

void RcEndpoint::write(std::uint64_t id, const LocalRange& from, const RemotePlace& to)
{
    ibv_send_wr request = {};
    request.wr_id = id;
    request.opcode = IBV_WR_RDMA_WRITE;
    request.wr.rdma = {to.address, to.rkey};
    post(request, from, "post an RDMA write");
}

void RcEndpoint::read(std::uint64_t id, const LocalRange& into, const RemotePlace& from)
{
    ibv_send_wr request = {};
    request.wr_id = id;
    request.opcode = IBV_WR_RDMA_READ;
    request.wr.rdma = {from.address, from.rkey};
    post(request, into, "post an RDMA read");
}

} // namespace p2prdma::tool
