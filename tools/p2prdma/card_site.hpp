// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/session.hpp"
#include "p2prdma/direct/stream.hpp"
#include "tools/p2prdma/address.hpp"
#include "tools/p2prdma/site.hpp"
#include "tools/p2prdma/stream_bridge.hpp"

#include <memory>
#include <optional>
#include <string>

namespace p2prdma::tool {

/// On a card's own machine: the card's memory, and an adapter of the host's that this CPU drives.
class CardSite final : public Site {
public:
    /// \param device  the adapter's name; empty: the first \throws Error
    CardSite(const direct::Session& session, const std::string& device);

    /// A session with the host if this machine's transfers go that way: if the user says so by
    /// `via` ("card"), or did not ("") and this is a card's machine without an adapter of its own.
    /// \throws Error
    static std::optional<direct::Session> open_session(const std::string& via,
                                                       const std::string& card);

    std::string device() const override { return adapter_.name; }
    wire::Transport transport() const override { return wire::Transport::srd; }
    std::string path() const override { return "card"; }
    std::optional<unsigned> card() const override { return session_.card().number(); }
    std::string memory_name() const override { return session_.card().name(); }
    void require_isolation(Isolation::Level level) const override;
    std::unique_ptr<Endpoint> make_endpoint(std::uint32_t depth) const override;
    std::unique_ptr<Buffer> make_buffer(std::uint64_t length, int access) const override;
    std::unique_ptr<Buffer> make_scratch(std::uint64_t length, int access) const override;
    Room room() const override;
    std::uint64_t most_staging() const override { return room().largest; }

private:
    direct::Session session_;
    direct::AdapterInfo adapter_;
};

/// Connects by way of the host. \throws Failure peer_lost
std::unique_ptr<StreamBridge> connect_by_host(const direct::Session& session, const Address& to,
                                              Patience& patience);

/// A TCP port of the host's.
class HostListener final : public Listener {
public:
    /// \throws Error, Failure: the host listens at all of its addresses, and at no port but a given
    HostListener(const direct::Session& session, const Address& at);

    UniqueFd accept(Patience& patience, std::string& peer) const override;

private:
    // accept() ends what it made before, and does not change what it listens at.
    mutable direct::Listener listener_;
    mutable std::unique_ptr<StreamBridge> bridge_;
};

} // namespace p2prdma::tool
