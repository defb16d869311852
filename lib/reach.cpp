// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/reach.hpp"

#include <cstdio>

namespace p2prdma {
namespace {

std::string named(const std::string& name, const PciAddress& address)
{
    return name.empty() ? address.to_string() : name + " (" + address.to_string() + ")";
}

std::string host_bridge(const Reach& reach)
{
    if (reach.host_vendor == 0xffff)
        return reach.common.to_string() + " (which does not identify itself)";
    char ids[16];
    std::snprintf(ids, sizeof(ids), " [%04x:%04x]", reach.host_vendor, reach.host_device);
    return reach.common.to_string() + ids;
}

std::string ports(const Reach& reach)
{
    if (reach.card_port == reach.peer_port)
        return "port " + reach.card_port.to_string();
    return "ports " + reach.peer_port.to_string() + " and " + reach.card_port.to_string();
}

} // namespace

std::string Reach::explain() const
{
    const std::string to = named(card_name, card);
    if (!peer_is_pci)
        return peer_name + " is not a PCI device: it cannot reach " + to;
    const std::string from = named(peer_name, peer);
    switch (kind) {
    case Kind::peer_switch:
        return from + " reaches " + to + " directly, below the PCIe bridge " + common.to_string();
    case Kind::peer_bridge:
        return from + " reaches " + to + " directly, through the host bridge " + host_bridge(*this);
    case Kind::refused:
        return from + " cannot reach " + to + ": no PCIe switch joins them (" + ports(*this) +
               "), and the kernel does not allow peer-to-peer traffic through the host bridge " +
               host_bridge(*this);
    case Kind::unsupported:
        break;
    }
    return from + " cannot reach " + to +
           ": this kernel or this card does not support peer-to-peer DMA";
}

const char* to_string(Reach::Kind kind) noexcept
{
    switch (kind) {
    case Reach::Kind::peer_switch:
        return "peer_switch";
    case Reach::Kind::peer_bridge:
        return "peer_bridge";
    case Reach::Kind::refused:
        return "refused";
    case Reach::Kind::unsupported:
        break;
    }
    return "unsupported";
}

} // namespace p2prdma
