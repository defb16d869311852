// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/device.hpp"
#include "p2prdma/l2/request.hpp"
#include "tools/p2prdma/failure.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace p2prdma::tool {

class Patience;

/// The service number of transfers, and of `p2prdma l2 serve`, unless told otherwise.
inline constexpr std::uint32_t default_l2_service = 17472;

/// How the user wants an interface to be used.
struct L2Options {
    std::string interface;
    l2::DeviceOptions device;
};

/// Adds what all commands that use an interface share: --interface, --port-kind, --vlan and so on.
/// `required`: nothing works without --interface.
void add_l2_options(CLI::App& command, L2Options& options, bool required);

/// Whether the user asks for an interface as the way of a transfer: --via l2, or --interface alone.
/// \throws Failure usage: together with what cannot be
bool wants_l2(const L2Options& options, const std::string& via, const std::string& card,
              const std::string& device);

/// Reads a key: 32 bytes as they are, or as 64 hexadecimal digits.
/// \throws Failure  the file is none, or others than its owner can read it
std::vector<std::byte> read_l2_key(const std::string& path);

/// Opens the interface. \throws Failure with a sentence that tells which capability is missing
l2::Device open_l2(const L2Options& options);
/// The same for the library's exception and any use of an interface.
Failure l2_failure(const std::exception& error, const L2Options& options);

/// Whom the user means: an Ethernet address, or the name of somebody who serves `service`.
/// \throws Failure peer_lost: nobody of that name answers; interrupted
l2::MacAddress find_l2_peer(l2::Device& device, const std::string& name, std::uint32_t service,
                            Patience& patience);

/// Why a work request failed, as this command's failure. `what`: "RDMA write".
Failure l2_operation_failure(const std::string& interface, const std::string& what,
                             l2::Status status);

} // namespace p2prdma::tool
