// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/endpoint.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>

/// Two adapters of this machine, connected: operations are posted on the first and reach memory
/// that is registered with the second.
class RdmaPair {
public:
    explicit RdmaPair(std::uint32_t depth = 32)
        : initiator_(p2prdma::tool::Adapter::open("efa_0")),
          target_(p2prdma::tool::Adapter::open("efa_1")),
          near_(p2prdma::tool::Endpoint::make(initiator_, depth)),
          far_(p2prdma::tool::Endpoint::make(target_, depth))
    {
        near_->connect(far_->address());
        far_->connect(near_->address());
    }

    [[nodiscard]] ibv_pd* initiator_pd() const { return initiator_.pd(); }
    [[nodiscard]] ibv_pd* target_pd() const { return target_.pd(); }
    p2prdma::tool::Endpoint& endpoint() { return *near_; }

    /// Waits for `count` completions. \throws Failure, or std::runtime_error after 20 seconds
    void complete(std::uint64_t count)
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (count > 0) {
            if (near_->poll())
                --count;
            else if (std::chrono::steady_clock::now() > end)
                throw std::runtime_error("an operation did not complete within 20 seconds");
        }
    }

private:
    p2prdma::tool::Adapter initiator_;
    p2prdma::tool::Adapter target_;
    std::unique_ptr<p2prdma::tool::Endpoint> near_;
    std::unique_ptr<p2prdma::tool::Endpoint> far_;
};
