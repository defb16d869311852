// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/direct_endpoint.hpp"

#include "p2prdma/error.hpp"
#include "tools/p2prdma/failure.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include <infiniband/verbs.h>
#include <unistd.h>

namespace p2prdma::tool {
namespace {

constexpr std::uint32_t most_entries = 512; // of a queue: a window's slot bounds it, too

std::uint32_t usable_depth(const direct::AdapterInfo& adapter, std::uint32_t depth)
{
    if (!adapter.rdma_write || !adapter.rdma_read || !adapter.cq_in_card)
        throw Failure(Exit::failed, "unsupported",
                      adapter.name + " cannot write and read remote memory for a card's machine");
    return std::min({depth, adapter.max_send, most_entries});
}

bool is_silence(direct::Status status)
{
    using direct::Status;
    return status == Status::unresponsive || status == Status::unreachable ||
           status == Status::remote_abort;
}

} // namespace

DirectEndpoint::DirectEndpoint(const direct::Session& session, const direct::AdapterInfo& adapter,
                               std::uint32_t depth)
    : Endpoint(usable_depth(adapter, depth)), session_(session), adapter_(adapter),
      // A queue has more entries than asked for if they do not fill a page.
      cq_(session, adapter.number, std::max(this->depth(), 64u)),
      queue_pair_(session, adapter.number, cq_, {.send_entries = this->depth()})
{
    set_limits(this->depth(), static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                  adapter.max_rdma, std::numeric_limits<std::uint32_t>::max())));
    if (!adapter.counters)
        return;
    event_.emplace(session, adapter.number);
    counter_.emplace(session, queue_pair_, direct::Counted::writes | direct::Counted::reads,
                     *event_);
}

wire::Hello DirectEndpoint::address() const
{
    wire::Hello hello;
    hello.transport = wire::Transport::srd;
    hello.mtu = IBV_MTU_4096;
    std::memcpy(hello.gid.data(), adapter_.gid.data(), hello.gid.size());
    hello.qp_number = queue_pair_.number();
    hello.qkey = queue_pair_.key();
    return hello;
}

void DirectEndpoint::connect(const wire::Hello& peer)
{
    direct::Gid gid = {};
    std::memcpy(gid.data(), peer.gid.data(), gid.size());
    handle_.emplace(session_, adapter_.number, gid);
    peer_ = {handle_->number(), static_cast<std::uint16_t>(peer.qp_number), peer.qkey};
}

void DirectEndpoint::require(direct::Posted posted) const
{
    if (posted != direct::Posted::ok)
        throw Failure(Exit::failed, "rdma_failed",
                      "an RDMA operation did not fit into the queue of " + adapter_.name);
}

void DirectEndpoint::write(std::uint64_t id, const LocalRange& from, const RemotePlace& to)
{
    require(queue_pair_.post_write(id, peer_, {from.address, from.length, from.lkey},
                                   {to.address, to.rkey}));
}

void DirectEndpoint::read(std::uint64_t id, const LocalRange& into, const RemotePlace& from)
{
    require(queue_pair_.post_read(id, peer_, {into.address, into.length, into.lkey},
                                  {from.address, from.rkey}));
}

std::optional<std::uint64_t> DirectEndpoint::poll()
{
    direct::Completion completion;
    if (!cq_.poll(completion)) {
        if (!session_.alive())
            throw Error(Errc::host_gone, "the host of " + session_.card().name() +
                                             ", its p2prdmad or its RDMA device is gone");
        return std::nullopt;
    }
    if (completion.status == direct::Status::ok)
        return completion.id;
    const std::string what = "an RDMA operation of " + adapter_.name +
                             " failed: " + std::string(direct::to_string(completion.status));
    if (is_silence(completion.status))
        throw Failure(Exit::peer_lost, "peer_lost", what);
    throw Failure(Exit::failed, "rdma_failed", what);
}

void DirectEndpoint::arm()
{
    std::uint64_t raises = 0;
    if (event_)
        static_cast<void>(::read(event_->fd(), &raises, sizeof(raises)));
}

} // namespace p2prdma::tool
