// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace p2prdma::daemon {

class GrantTable;
class Network;
class Provider;
class Quarantine;

using Clock = std::chrono::steady_clock;

/// What one client may have at most.
struct Quota {
    std::uint64_t memory = 64 << 20; ///< bytes of card memory
    std::uint32_t objects = 1024;    ///< of all kinds together
    std::uint32_t queue_pairs = 8;   ///< each takes two windows, four with a receive queue
    std::uint32_t streams = 16;
    std::uint32_t grants = 96;
};

/// What clients are served from.
struct Services {
    Provider& provider;
    Network& network;
    GrantTable& grants;
    Quarantine& quarantine;
    Quota quota;
    std::uint32_t epoch = 0;
    std::string hostname;
};

} // namespace p2prdma::daemon
