// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/completion_queue_state.hpp"
#include "lib/l2/region_state.hpp"
#include "p2prdma/l2/queue_pair.hpp"

#include <memory>
#include <vector>

namespace p2prdma::l2 {

/// Room for as many completions as a queue pair may have requests under way.
class CompletionClaim {
public:
    /// \throws Error  there is not as much
    CompletionClaim(std::shared_ptr<CompletionQueue::State> queue, std::uint32_t entries);
    ~CompletionClaim();
    CompletionClaim(const CompletionClaim&) = delete;
    CompletionClaim& operator=(const CompletionClaim&) = delete;

    [[nodiscard]] CompletionRing& ring() const noexcept { return queue_->ring; }

private:
    std::shared_ptr<CompletionQueue::State> queue_;
    std::uint32_t entries_;
};

struct QueuePair::State {
    /// \throws Error
    State(const ProtectionDomain& domain, const CompletionQueue& send_queue,
          const CompletionQueue& receive_queue, const QueuePairOptions& options,
          std::span<const std::byte> private_data);
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    [[nodiscard]] Device::State& device() const noexcept { return *domain->device; }
    [[nodiscard]] QueuePairSetup setup() const;

    std::shared_ptr<ProtectionDomain::State> domain;
    QueuePairOptions options;
    std::vector<std::byte> private_data;
    CompletionClaim sends, receives;
    Connection* connection = nullptr;
    std::vector<std::byte> peer_data; ///< of connection, once it is there
};

} // namespace p2prdma::l2
