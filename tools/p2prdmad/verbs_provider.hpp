// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/hca_registers.hpp"
#include "tools/p2prdmad/efa_adapter.hpp"
#include "tools/p2prdmad/efa_objects.hpp"
#include "tools/p2prdmad/efa_session.hpp"
#include "tools/p2prdmad/provider.hpp"
#include "tools/p2prdmad/relay.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace p2prdma::daemon {

/// A real card and the EFA adapters of its host. `card` outlives it.
class VerbsProvider final : public Provider {
public:
    /// Whom clients may address; see EfaSession::Shared.
    using MayAddress = std::function<bool(const std::array<std::uint8_t, 16>& gid)>;

    VerbsProvider(const Card& card, std::vector<EfaAdapter> adapters, MayAddress may_address);

    std::uint32_t adapters() const override;
    AdapterInfo query(std::uint32_t adapter) override { return info(adapter); }
    const AdapterInfo& info(std::uint32_t adapter) const { return adapters_.at(adapter).info(); }
    std::unique_ptr<AdapterSession> open(std::uint32_t adapter) override;
    std::shared_ptr<Target> allocate(std::uint64_t length, bool uncached, bool read_only) override;
    std::shared_ptr<Event> create_event(std::uint32_t adapter, bool relayed) override;
    void watch(std::vector<pollfd>& descriptors) override;
    std::vector<const Object*> attend() override;

    /// Lets go of adapters whose drivers are being unbound. To be called each second.
    void check_adapters() noexcept;
    Relay& relay() noexcept { return relay_; }

private:
    const HcaRegisters& registers();
    void remember(const std::shared_ptr<EfaQueuePair>& qp);

    const Card& card_;
    std::optional<HcaRegisters> registers_; ///< once it was needed
    Relay relay_;
    EfaSession::Shared shared_;
    std::vector<EfaAdapter> adapters_;
    std::vector<std::weak_ptr<EfaQueuePair>> queue_pairs_; ///< whose windows are all there
};

} // namespace p2prdma::daemon
