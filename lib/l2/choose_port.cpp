// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/choose_port.hpp"

#include "lib/l2/lossy_port.hpp"
#include "lib/l2/packet_port.hpp"
#include "lib/l2/ring_port.hpp"
#include "lib/l2/xdp_port.hpp"

#include <cerrno>

namespace p2prdma::l2 {
namespace {

constexpr unsigned smallest_ether_type = 0x600;

void check(const DeviceOptions& options)
{
    const auto require = [](bool met, const char* what) {
        if (!met)
            throw Error(Errc::bad_argument, what);
    };
    require(options.ether_type >= smallest_ether_type && options.ether_type != ether_type_vlan,
            "this is no EtherType for a protocol");
    require(!options.vlan || (*options.vlan >= 1 && *options.vlan <= 4094),
            "a VLAN is a number from 1 to 4094");
    require(options.lose >= 0 && options.lose <= 1, "frames are lost with probability 0 to 1");
    require(!options.frame_limit || options.frame_limit >= smallest_mtu,
            "the frame limit is too small");
}

void check(const Interface& interface)
{
    const auto link = interface.link();
    if (!link.exists || !link.up)
        throw Error(std::error_code(ENETDOWN, std::system_category()),
                    interface.name() + " is down, or has no carrier");
    if (link.mtu < smallest_mtu)
        throw Error(Errc::unsupported, "the MTU of " + interface.name() + " is " +
                                           std::to_string(link.mtu) + ": too small, at least " +
                                           std::to_string(smallest_mtu) + " is needed");
}

FrameFilter filter_of(const DeviceOptions& options)
{
    return {.ether_type = options.ether_type, .vlan = options.vlan};
}

std::unique_ptr<LinkPort> make_port(PortKind kind, const std::string& name,
                                    const DeviceOptions& options)
{
    Interface interface(name);
    const auto filter = filter_of(options);
    if (kind == PortKind::ring)
        return std::make_unique<RingPort>(std::move(interface), filter, options.frame_limit);
    if (kind == PortKind::packet)
        return std::make_unique<PacketPort>(std::move(interface), filter, options.frame_limit);
    const bool zero_copy = xdp_state(interface).zero_copy;
    return std::make_unique<XdpPort>(std::move(interface), filter, options.frame_limit, zero_copy);
}

std::unique_ptr<LinkPort> with_reason(std::unique_ptr<LinkPort> port, const std::string& reason)
{
    port->set_reason(std::string(to_string(port->kind())) + ": " + reason);
    return port;
}

/// Why zero-copy AF_XDP is out of the question; empty if it is not.
std::string objection_to_xdp(const Interface& interface, const DeviceOptions& options)
{
    if (options.vlan)
        return "AF_XDP may not see the VLAN of a frame";
    const auto state = xdp_state(interface);
    if (!state.zero_copy)
        return interface.driver() + " has no zero-copy AF_XDP";
    if (state.occupied)
        return interface.name() + " already has the XDP program " + state.program;
    const auto mtu = interface.link().mtu;
    if (mtu + ethernet_header > XdpSocket::frame_limit)
        return "an MTU of " + std::to_string(mtu) + " is too large for AF_XDP";
    return "";
}

std::unique_ptr<LinkPort> choose(const Interface& interface, const DeviceOptions& options)
{
    if (options.favour_latency)
        return with_reason(make_port(PortKind::ring, interface.name(), options),
                           "low latency was asked for");
    auto objection = objection_to_xdp(interface, options);
    if (objection.empty()) {
        try {
            return with_reason(make_port(PortKind::xdp, interface.name(), options),
                               interface.driver() + " grants zero-copy");
        } catch (const Error& error) {
            objection = error.what();
        }
    }
    return with_reason(make_port(PortKind::packet, interface.name(), options), objection);
}

} // namespace

std::unique_ptr<Port> open_port(const std::string& name, const DeviceOptions& options)
{
    check(options);
    const Interface interface(name);
    check(interface);
    std::unique_ptr<Port> port =
        options.port == PortKind::automatic
            ? choose(interface, options)
            : with_reason(make_port(options.port, name, options), "it was asked for");
    if (options.lose > 0)
        port = std::make_unique<LossyPort>(std::move(port), options.lose, options.lose_seed);
    return port;
}

} // namespace p2prdma::l2
