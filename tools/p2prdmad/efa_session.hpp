// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/hca_registers.hpp"
#include "tools/p2prdmad/efa_context.hpp"
#include "tools/p2prdmad/provider.hpp"
#include "tools/p2prdmad/relay.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace p2prdma::daemon {

struct CardEvent;
struct EfaQueuePair;

/// An EFA adapter for one client.
class EfaSession final : public AdapterSession {
public:
    /// What all sessions share; outlives them.
    struct Shared {
        const Card& card;
        /// What exports queues and doorbells. \throws p2prdma::Error module_not_loaded
        std::function<const HcaRegisters&()> registers;
        Relay& relay;
        /// Which hosts a card may address; empty function: all.
        std::function<bool(const std::array<std::uint8_t, 16>& gid)> may_address;
        /// Is told of each queue pair that was made.
        std::function<void(const std::shared_ptr<EfaQueuePair>& qp)> made;
    };

    /// `info`: of the adapter, which outlives the session.
    EfaSession(const Shared& shared, const AdapterInfo& info, std::shared_ptr<EfaContext> context);

    std::shared_ptr<Region> register_target(const std::shared_ptr<Target>& target,
                                            std::uint64_t offset, std::uint64_t length,
                                            std::uint32_t access) override;
    std::shared_ptr<CompletionQueue> create_cq(std::uint32_t entries) override;
    std::shared_ptr<QueuePair> create_qp(const QueuePairWish& wish) override;
    std::shared_ptr<AddressHandle> create_ah(const std::array<std::uint8_t, 16>& gid) override;
    std::shared_ptr<Counter> create_counter(const std::shared_ptr<QueuePair>& qp,
                                            std::uint32_t operations,
                                            const std::shared_ptr<Target>& target,
                                            std::uint64_t offset) override;

private:
    std::shared_ptr<Counter> watch(EfaQueuePair& qp, std::uint32_t operations,
                                   const std::shared_ptr<CardEvent>& event) const;

    const Shared& shared_;
    const AdapterInfo& info_;
    std::shared_ptr<EfaContext> context_;
};

} // namespace p2prdma::daemon
