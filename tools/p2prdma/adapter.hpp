// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/isolation.hpp"
#include "p2prdma/pci_address.hpp"
#include "tools/p2prdma/wire.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <infiniband/verbs.h>

namespace p2prdma::tool {

/// An opened RDMA device with a protection domain; its first active port is used.
class Adapter {
public:
    /// What listing tells about a device.
    struct Entry {
        std::string name;
        std::optional<PciAddress> pci; ///< nothing: no PCI device
        wire::Transport transport = wire::Transport::rc;
        bool active = false; ///< a port is up

        static Entry of(ibv_device& device);
    };

    /// The RDMA devices of this machine; none if it has none.
    static std::vector<Entry> list();

    /// Opens the device of that name. \throws Error no_such_adapter; Failure: no active port
    static Adapter open(const std::string& name);
    /// Opens the first device with an active port that reaches `card` (if given) and speaks
    /// `transport` (if given).
    /// \throws Error no_such_adapter; unreachable, with what separates the card from the device
    static Adapter choose(const std::optional<Card>& card,
                          std::optional<wire::Transport> transport);

    std::string name() const { return context_->device->name; }
    ibv_context* context() const noexcept { return context_.get(); }
    ibv_pd* pd() const noexcept { return pd_.get(); }
    wire::Transport transport() const noexcept { return transport_; }
    std::uint8_t port() const noexcept { return port_; }
    const ibv_port_attr& port_attributes() const noexcept { return port_attributes_; }

    /// The GID that RDMA packets of this adapter come from, and its index: of a RoCE port the
    /// routable (v2) one, an IPv4 address rather than a link-local one.
    std::uint8_t gid_index() const;
    union ibv_gid gid(std::uint8_t index) const;

    /// How this adapter's traffic with memory of `card` (none: of the host) goes: "peer_switch",
    /// "peer_bridge" or "host".
    std::string path_to(const std::optional<Card>& card) const;
    /// Refuses a card that is less isolated next to this adapter. \throws Error not_isolated
    void require_isolation(const std::optional<Card>& card, Isolation::Level level) const;

private:
    struct Close {
        void operator()(ibv_context* context) const noexcept { ibv_close_device(context); }
        void operator()(ibv_pd* pd) const noexcept { ibv_dealloc_pd(pd); }
    };

    explicit Adapter(ibv_device* device);

    std::unique_ptr<ibv_context, Close> context_;
    std::unique_ptr<ibv_pd, Close> pd_;
    wire::Transport transport_ = wire::Transport::rc;
    std::uint8_t port_ = 0;
    ibv_port_attr port_attributes_ = {};
};

/// "SRD" or "RC".
const char* name_of(wire::Transport transport) noexcept;

} // namespace p2prdma::tool
