// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/isolation.hpp"
#include "tools/p2prdmad/services.hpp"
#include "tools/p2prdmad/tcp_network.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace p2prdma::daemon {

/// What the command line says.
struct Options {
    std::string card = "0";
    std::vector<std::string> adapters; ///< names; empty: all
    Isolation::Level isolation = Isolation::Level::none;
    Quota quota;
    NetworkPolicy network;
    std::vector<std::array<std::uint8_t, 16>> peer_gids; ///< empty: any
    bool wait = false;                                   ///< for the card to be there
    bool once = false;                                   ///< end when the card goes
};

/// Reads the command line. Nothing if --help or --version was asked for, which is printed then.
/// \throws UsageError
std::optional<Options> parse_options(int argc, const char* const* argv);

/// The command line is wrong: one sentence.
class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace p2prdma::daemon
