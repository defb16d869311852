// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/bell.hpp"
#include "p2prdma/card.hpp"
#include "p2prdma/doorbell.hpp"
#include "tools/p2prdmad/card_objects.hpp"
#include "tools/p2prdmad/options.hpp"
#include "tools/p2prdmad/verbs_provider.hpp"

#include <string>
#include <vector>

namespace p2prdma::daemon {

/// \throws p2prdma::Error unsupported if the card, or the kernel it is in, cannot be served
void require_servable(const CardInfo& info, const std::string& name);

/// An open card with its adapters and the bells between it and the daemon.
class CardService {
public:
    /// \throws p2prdma::Error
    explicit CardService(const Options& options);
    CardService(const CardService&) = delete;
    CardService& operator=(const CardService&) = delete;

    const Card& card() const noexcept { return card_; }
    VerbsProvider& provider() noexcept { return provider_; }
    Bell& bell() noexcept { return bell_; }
    /// Calls the card.
    void ring() noexcept { call_.ring(1); }
    /// Whether the card was taken away, as found by an access.
    bool tripped() const noexcept { return call_.tripped(); }
    /// "card0 with efa_0 and efa_1"
    std::string describe() const;

private:
    Card card_;
    VerbsProvider provider_;
    Doorbell doorbell_;
    MappedDoorbell call_;
    Bell bell_;
};

} // namespace p2prdma::daemon
