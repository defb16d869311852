// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/endpoint.hpp"

#include <string>

#include <infiniband/verbs.h>

namespace p2prdma::tool {

/// What endpoints of this machine's own adapters share: the completion queue, by libibverbs.
class VerbsEndpoint : public Endpoint {
public:
    std::optional<std::uint64_t> poll() override;
    void arm() override;
    int event_fd() const noexcept override { return channel_ ? channel_->fd : -1; }

protected:
    struct Destroy {
        void operator()(ibv_comp_channel* channel) const noexcept
        {
            ibv_destroy_comp_channel(channel);
        }
        void operator()(ibv_cq* cq) const noexcept { ibv_destroy_cq(cq); }
        void operator()(ibv_qp* qp) const noexcept { ibv_destroy_qp(qp); }
        void operator()(ibv_ah* ah) const noexcept { ibv_destroy_ah(ah); }
    };
    template <class T>
    using Owned = std::unique_ptr<T, Destroy>;

    /// Makes the completion queue; the queue pair is the derived class's.
    VerbsEndpoint(const Adapter& adapter, std::uint32_t depth);

    ibv_cq* cq() const noexcept { return cq_.get(); }
    const Adapter& adapter() const noexcept { return adapter_; }
    /// The fields of address() that all transports share.
    wire::Hello base_address(std::uint8_t gid_index) const;
    /// \throws Failure naming the adapter and the step, if `error` (an errno) is not 0
    void require(int error, const char* step) const;

private:
    void take_events();

    const Adapter& adapter_;
    Owned<ibv_comp_channel> channel_;
    Owned<ibv_cq> cq_;
};

} // namespace p2prdma::tool
