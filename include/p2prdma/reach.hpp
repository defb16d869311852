// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/pci_address.hpp"

#include <cstdint>
#include <string>

namespace p2prdma {

/// Whether, and by which way, a PCI device reaches a card's memory.
struct P2PRDMA_API Reach {
    enum class Kind {
        peer_switch, ///< directly, below a common PCIe switch
        peer_bridge, ///< directly, through a host bridge that the kernel allows
        refused,     ///< not: by no switch, and the kernel does not allow the host bridge
        unsupported, ///< not: the kernel, the card or the device takes no part in peer-to-peer
    };

    Kind kind = Kind::unsupported;
    int distance = -1;     ///< hops as the kernel counts them; -1 if not reachable
    std::string card_name; ///< "card0"
    std::string peer_name; ///< the RDMA device's name; empty if only an address was asked for
    PciAddress card;
    PciAddress peer;
    PciAddress card_port; ///< the root port (or topmost bridge) above the card
    PciAddress peer_port; ///< the same for the peer
    PciAddress common;    ///< peer_switch: the lowest bridge above both; else the host bridge
    std::uint16_t host_vendor = 0xffff; ///< PCI ids of that host bridge; 0xffff: none answers
    std::uint16_t host_device = 0xffff;
    bool peer_is_pci = true; ///< false: a device without a PCI function, such as rxe's

    [[nodiscard]] bool reachable() const noexcept
    {
        return kind == Kind::peer_switch || kind == Kind::peer_bridge;
    }
    /// One sentence that names both devices and the bridge that joins or separates them.
    [[nodiscard]] std::string explain() const;
};

/// "peer_switch", "peer_bridge", "refused" or "unsupported": a static string.
[[nodiscard]] P2PRDMA_API const char* to_string(Reach::Kind kind) noexcept;

} // namespace p2prdma
