// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/session.hpp"

#include "lib/direct/link.hpp"

namespace p2prdma::direct {
namespace {

Isolation::Level level_of(std::uint32_t isolation) noexcept
{
    switch (isolation) {
    case P2PRDMA_ISOLATION_LAZY:
        return Isolation::Level::iommu_lazy;
    case P2PRDMA_ISOLATION_STRICT:
        return Isolation::Level::iommu_strict;
    default:
        return Isolation::Level::none;
    }
}

} // namespace

Session::Session(LocalCard card, const SessionOptions& options)
    : link_(std::make_shared<const Link>(std::move(card), options.timeout))
{
    p2prdma_hello_request request = {};
    request.version_min = request.version_max = little(std::uint32_t{1});
    set_text(request.name, options.name);
    const auto reply = link_->ask<p2prdma_hello_reply>(P2PRDMA_OP_HELLO, request, "be talked to");
    host_ = text_of(reply.hostname);
    max_memory_ = little(std::uint64_t{reply.max_mem});
    max_queue_pairs_ = little(reply.max_qps);
    adapters_ = little(reply.adapters);
}

Session Session::open(unsigned number, const SessionOptions& options)
{
    return Session(LocalCard::open(number), options);
}

const LocalCard& Session::card() const noexcept
{
    return link_->card();
}

bool Session::alive() const noexcept
{
    return card().alive() && !card().lost_window();
}

std::vector<AdapterInfo> Session::adapters() const
{
    std::vector<AdapterInfo> found;
    for (std::uint32_t number = 0; number < adapters_; ++number)
        found.push_back(query(number));
    return found;
}

AdapterInfo Session::query(std::uint32_t number) const
{
    const p2prdma_adapter_query_request request = {.adapter = little(number), .__reserved = 0};
    const auto reply = link_->ask<p2prdma_adapter_query_reply>(P2PRDMA_OP_ADAPTER_QUERY, request,
                                                               "describe an adapter");
    const auto caps = little(reply.caps);
    AdapterInfo info;
    info.number = number;
    info.name = text_of(reply.name);
    std::copy_n(reply.gid, info.gid.size(), info.gid.begin());
    info.rdma_read = caps & P2PRDMA_ADAPTER_RDMA_READ;
    info.rdma_write = caps & P2PRDMA_ADAPTER_RDMA_WRITE;
    info.cq_in_card = caps & P2PRDMA_ADAPTER_CQ_IN_CARD;
    info.counters = caps & P2PRDMA_ADAPTER_COUNTER;
    info.p2p_events = caps & P2PRDMA_ADAPTER_P2P_EVENT;
    info.max_send = little(reply.max_send);
    info.max_receive = little(reply.max_receive);
    info.max_cq = little(reply.max_cq);
    info.max_inline = little(reply.max_inline);
    info.max_message = little(reply.max_message);
    info.max_rdma = little(std::uint64_t{reply.max_rdma});
    info.isolation = level_of(little(reply.isolation));
    info.reason = text_of(reply.reason);
    return info;
}

} // namespace p2prdma::direct
