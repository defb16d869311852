// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/verbs_endpoint.hpp"

#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/rc_endpoint.hpp"
#include "tools/p2prdma/srd_endpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>

namespace p2prdma::tool {
namespace {

/// What an operation's failure means for the user.
Failure operation_failure(const std::string& adapter, const ibv_wc& completion)
{
    const std::string what =
        "an RDMA operation of " + adapter + " failed: " + ibv_wc_status_str(completion.status);
    switch (completion.status) {
    case IBV_WC_RETRY_EXC_ERR:
    case IBV_WC_RNR_RETRY_EXC_ERR:
    case IBV_WC_RESP_TIMEOUT_ERR:
    case IBV_WC_REM_ABORT_ERR:
        return Failure(Exit::peer_lost, "peer_lost", what + " (the peer does not answer)");
    default:
        return Failure(Exit::failed, "rdma_failed",
                       what + " (vendor error " + std::to_string(completion.vendor_err) + ")");
    }
}

} // namespace

std::unique_ptr<Endpoint> Endpoint::make(const Adapter& adapter, std::uint32_t depth)
{
    if (adapter.transport() == wire::Transport::srd)
        return std::make_unique<SrdEndpoint>(adapter, depth);
    return std::make_unique<RcEndpoint>(adapter, depth);
}

VerbsEndpoint::VerbsEndpoint(const Adapter& adapter, std::uint32_t depth)
    : Endpoint(depth), adapter_(adapter), channel_(ibv_create_comp_channel(adapter.context()))
{
    const int entries = static_cast<int>(depth) + 1;
    if (channel_) {
        ::fcntl(channel_->fd, F_SETFL, O_NONBLOCK);
        cq_.reset(ibv_create_cq(adapter.context(), entries, nullptr, channel_.get(), 0));
    }
    if (!cq_ && (!channel_ || errno == EOPNOTSUPP)) {
        channel_.reset(); // an adapter without completion events
        cq_.reset(ibv_create_cq(adapter.context(), entries, nullptr, nullptr, 0));
    }
    require(cq_ ? 0 : errno, "create a completion queue");
}

void VerbsEndpoint::require(int error, const char* step) const
{
    if (error)
        throw system_failure(error, "cannot " + std::string(step) + " on " + adapter_.name());
}

wire::Hello VerbsEndpoint::base_address(std::uint8_t gid_index) const
{
    const auto& port = adapter_.port_attributes();
    wire::Hello hello;
    hello.transport = adapter_.transport();
    hello.mtu =
        static_cast<std::uint8_t>(std::clamp<int>(port.active_mtu, IBV_MTU_256, IBV_MTU_4096));
    hello.lid = port.lid;
    const auto gid = adapter_.gid(gid_index);
    static_assert(sizeof(gid.raw) == sizeof(hello.gid));
    std::memcpy(hello.gid.data(), gid.raw, sizeof(gid.raw));
    return hello;
}

std::optional<std::uint64_t> VerbsEndpoint::poll()
{
    ibv_wc completion = {};
    const int count = ibv_poll_cq(cq(), 1, &completion);
    if (count < 0)
        throw Failure(Exit::failed, "rdma_failed",
                      "the completion queue of " + adapter_.name() + " failed");
    if (count == 0)
        return std::nullopt;
    if (completion.status != IBV_WC_SUCCESS)
        throw operation_failure(adapter_.name(), completion);
    return completion.wr_id;
}

void VerbsEndpoint::arm()
{
    if (!channel_)
        return;
    take_events();
    require(ibv_req_notify_cq(cq(), 0), "wait for completions");
}

void VerbsEndpoint::take_events()
{
    ibv_cq* which = nullptr;
    void* context = nullptr;
    while (ibv_get_cq_event(channel_.get(), &which, &context) == 0)
        ibv_ack_cq_events(which, 1); // else the queue can never be destroyed
}

} // namespace p2prdma::tool
