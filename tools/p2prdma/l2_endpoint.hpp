// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/queue_pair.hpp"
#include "tools/p2prdma/endpoint.hpp"

#include <optional>

namespace p2prdma::tool {

/// A queue pair over Ethernet frames. One end waits for the other at a service number that it made
/// up, and that its address() tells.
class L2Endpoint final : public Endpoint {
public:
    enum class Role { waits, connects };

    /// \throws Error
    L2Endpoint(const l2::Device& device, const l2::ProtectionDomain& domain, std::uint32_t depth,
               Role role);

    wire::Hello address() const override;
    void connect(const wire::Hello& peer) override;
    void write(std::uint64_t id, const LocalRange& from, const RemotePlace& to) override;
    void read(std::uint64_t id, const LocalRange& into, const RemotePlace& from) override;
    std::optional<std::uint64_t> poll() override;
    void arm() override { done_.arm(); }
    int event_fd() const noexcept override { return done_.fd(); }

private:
    void accept(const l2::MacAddress& peer);
    void post(l2::Operation operation, std::uint64_t id, const LocalRange& local,
              const RemotePlace& remote);

    const l2::Device& device_;
    const l2::ProtectionDomain& domain_;
    l2::CompletionQueue done_;
    std::uint32_t service_ = 0; // where this end waits; 0: nowhere
    std::optional<l2::Listener> listener_;
    std::optional<l2::QueuePair> pair_;
};

} // namespace p2prdma::tool
