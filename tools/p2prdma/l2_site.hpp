// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/queue_pair.hpp"
#include "tools/p2prdma/address.hpp"
#include "tools/p2prdma/l2_device.hpp"
#include "tools/p2prdma/l2_endpoint.hpp"
#include "tools/p2prdma/l2_statistics.hpp"
#include "tools/p2prdma/site.hpp"
#include "tools/p2prdma/stream_bridge.hpp"

namespace p2prdma::tool {

class OutputFile;

/// An Ethernet interface as an adapter, and this machine's memory.
class L2Site final : public Site {
public:
    /// \param file  received data goes into a mapping of it, registered implicitly; nullptr: into
    ///              memory of this process \throws Failure, Error
    L2Site(const L2Options& options, L2Endpoint::Role role, OutputFile* file = nullptr);

    l2::Device& adapter() noexcept { return device_; }
    const l2::Device& adapter() const noexcept { return device_; }
    const l2::ProtectionDomain& domain() const noexcept { return domain_; }

    std::string device() const override { return device_.interface(); }
    wire::Transport transport() const override { return wire::Transport::l2; }
    std::string path() const override { return "ethernet"; }
    std::optional<unsigned> card() const override { return std::nullopt; }
    std::string memory_name() const override;
    void require_isolation(Isolation::Level level) const override;
    std::unique_ptr<Endpoint> make_endpoint(std::uint32_t depth) const override;
    std::unique_ptr<Buffer> make_buffer(std::uint64_t length, int access) const override;
    std::unique_ptr<Buffer> make_scratch(std::uint64_t length, int access) const override;
    Room room() const override;
    std::uint64_t most_staging() const override;
    l2::Statistics counters() const override { return device_.statistics(); }

private:
    l2::Device device_;
    l2::ProtectionDomain domain_;
    L2Publisher publisher_;
    L2Endpoint::Role role_;
    OutputFile* file_;
};

/// Connects to the host's name, or Ethernet address, and service number. \throws Failure peer_lost
std::unique_ptr<StreamBridge> connect_by_l2(L2Site& site, const Address& to, Patience& patience);

/// A service number of an interface.
class L2Listener final : public Listener {
public:
    /// \param service  0: any free one \throws Failure, Error
    L2Listener(const L2Site& site, std::uint16_t service);

    UniqueFd accept(Patience& patience, std::string& peer) const override;

private:
    const L2Site& site_;
    // accept() ends what it made before, and does not change where it listens.
    mutable l2::Listener listener_;
    mutable std::unique_ptr<StreamBridge> bridge_;
};

} // namespace p2prdma::tool
