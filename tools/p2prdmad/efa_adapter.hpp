// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "tools/p2prdmad/efa_context.hpp"
#include "tools/p2prdmad/provider.hpp"

#include <memory>
#include <string>
#include <vector>

namespace p2prdma::daemon {

/// Leaves of what an adapter can do that which it can do for a card, and says why not the rest.
void limit_to_reach(AdapterInfo& info, const Reach& reach);

/// An EFA adapter that serves clients of a card: what it can do, and who has it open.
class EfaAdapter {
public:
    /// The EFA adapters of this machine by name, or of them those in `names` (empty: all).
    /// \throws p2prdma::Error no_such_adapter
    static std::vector<EfaAdapter> find(const Card& card, const std::vector<std::string>& names);

    const AdapterInfo& info() const noexcept { return info_; }
    const Isolation& isolation() const noexcept { return isolation_; }

    /// Opens it for one client. \throws Refusal ENODEV
    std::shared_ptr<EfaContext> open();
    /// Lets go of it if its driver is being unbound, which waits for that.
    void check() noexcept;
    /// Adds what take_events() is to look at.
    void watch(std::vector<pollfd>& descriptors);
    void take_events() noexcept;

private:
    EfaAdapter(const Card& card, ibv_device& device, const PciAddress& address);
    void describe(const Card& card, ibv_context& context);
    bool bound() const noexcept;
    void abandon() noexcept;

    PciAddress address_;
    AdapterInfo info_;
    Isolation isolation_;
    std::vector<std::weak_ptr<EfaContext>> contexts_;
};

} // namespace p2prdma::daemon
