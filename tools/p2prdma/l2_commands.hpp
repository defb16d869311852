// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/device.hpp"
#include "tools/p2prdma/commands.hpp"
#include "tools/p2prdma/l2_device.hpp"

#include <string>

namespace p2prdma::tool {

// Each adds its subcommand to `p2prdma l2`.
void add_l2_ping(CLI::App& l2);
void add_l2_perf(CLI::App& l2);
void add_l2_serve(CLI::App& l2);
void add_l2_stat(CLI::App& l2);
void add_l2_capture(CLI::App& l2);

/// What connects to a server: the interface, whom, and how it waits.
struct L2ClientOptions {
    L2Options l2;
    std::string peer;
    std::uint32_t service = default_l2_service;
    unsigned timeout = 5; // seconds
    bool polling = false;
    bool json = false;
};

/// Adds PEER, --service, --timeout, --polling, --json and the options of the interface.
void add_l2_client_options(CLI::App& command, L2ClientOptions& options);
/// Adds --service.
void add_l2_service(CLI::App& command, std::uint32_t& service);

/// The device of a client: with --polling only its own thread moves frames. `favour_latency`: as of
/// DeviceOptions.
l2::Device open_l2_client(const L2ClientOptions& options, bool favour_latency);

} // namespace p2prdma::tool
