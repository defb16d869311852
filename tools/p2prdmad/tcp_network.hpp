// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/network.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace p2prdma::daemon {

/// Which ports and hosts the card's programs may use; empty: all.
struct NetworkPolicy {
    struct Ports {
        std::uint16_t first = 0;
        std::uint16_t last = 0;
    };

    std::vector<Ports> listen;
    std::vector<std::string> peers; ///< numeric addresses
};

/// The host's TCP.
class TcpNetwork final : public Network {
public:
    explicit TcpNetwork(NetworkPolicy policy) : policy_(std::move(policy)) {}

    std::shared_ptr<Stream> listen(std::uint16_t port) override;
    std::shared_ptr<Stream> connect(const std::string& host, std::uint16_t port) override;

private:
    NetworkPolicy policy_;
};

} // namespace p2prdma::daemon
