// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/address_handle.hpp"
#include "p2prdma/direct/completion_queue.hpp"
#include "p2prdma/direct/counter.hpp"
#include "p2prdma/direct/event.hpp"
#include "p2prdma/direct/queue_pair.hpp"
#include "p2prdma/direct/session.hpp"
#include "tools/p2prdma/endpoint.hpp"

namespace p2prdma::tool {

/// On a card's own machine: a queue pair of the host's adapter that this CPU drives by itself.
class DirectEndpoint final : public Endpoint {
public:
    /// \throws Error; Failure unsupported if the adapter cannot write and read by RDMA
    DirectEndpoint(const direct::Session& session, const direct::AdapterInfo& adapter,
                   std::uint32_t depth);

    wire::Hello address() const override;
    void connect(const wire::Hello& peer) override;
    void write(std::uint64_t id, const LocalRange& from, const RemotePlace& to) override;
    void read(std::uint64_t id, const LocalRange& into, const RemotePlace& from) override;
    std::optional<std::uint64_t> poll() override;
    void arm() override;
    int event_fd() const noexcept override { return event_ ? event_->fd() : -1; }

private:
    void require(direct::Posted posted) const;

    direct::Session session_;
    direct::AdapterInfo adapter_;
    direct::CompletionQueue cq_;
    direct::QueuePair queue_pair_;
    std::optional<direct::Event> event_;
    std::optional<direct::Counter> counter_;
    std::optional<direct::AddressHandle> handle_;
    direct::Peer peer_;
};

} // namespace p2prdma::tool
