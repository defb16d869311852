// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"
#include "p2prdma/l2/device.hpp"

#include <memory>
#include <string>

namespace p2prdma::l2 {

/// The smallest MTU with which connections can be made.
constexpr std::uint32_t smallest_mtu = 256;

/// A port on an interface: of the kind that was asked for, or the one that suits it best. Its
/// reason() says why.
///
/// Capabilities: CAP_NET_RAW; PortKind::xdp also CAP_NET_ADMIN and CAP_BPF, without which
/// PortKind::automatic takes another kind.
/// \throws Error  no such interface, not Ethernet, down, its MTU too small, not permitted, the kind
///                of port is not possible here, a value of the options is out of range
[[nodiscard]] std::unique_ptr<Port> open_port(const std::string& interface,
                                              const DeviceOptions& options);

} // namespace p2prdma::l2
