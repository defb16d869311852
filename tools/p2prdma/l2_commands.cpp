// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_commands.hpp"

#include <limits>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {

void add_l2_service(CLI::App& command, std::uint32_t& service)
{
    command.add_option("--service", service, "The service number, as a port number of TCP")
        ->capture_default_str()
        ->check(CLI::Range(1u, std::numeric_limits<std::uint32_t>::max()));
}

void add_l2_client_options(CLI::App& command, L2ClientOptions& options)
{
    command
        .add_option("PEER", options.peer,
                    "The machine that runs `p2prdma l2 serve`: its name or its Ethernet address")
        ->required();
    add_l2_options(command, options.l2, true);
    add_l2_service(command, options.service);
    command
        .add_option("--timeout", options.timeout, "Give up after so many seconds without an answer")
        ->capture_default_str()
        ->check(CLI::Range(1u, 3600u));
    command.add_flag("--polling", options.polling,
                     "Never sleep: the shortest times, at the cost of a processor");
    command.add_flag("--json", options.json, "Print one JSON object");
}

l2::Device open_l2_client(const L2ClientOptions& options, bool favour_latency)
{
    auto l2 = options.l2;
    l2.device.favour_latency = favour_latency;
    if (options.polling)
        l2.device.progress = l2::Progress::caller;
    return open_l2(l2);
}

void add_l2(CLI::App& app)
{
    auto* l2 = app.add_subcommand(
        "l2", "RDMA in Ethernet frames without IP: measure it, serve it, look at it");
    l2->require_subcommand(1);
    l2->footer("Examples:\n"
               "  p2prdma l2 serve -i eth0\n"
               "  p2prdma l2 ping -i eth0 node2\n"
               "  p2prdma l2 COMMAND --help");
    add_l2_serve(*l2);
    add_l2_ping(*l2);
    add_l2_perf(*l2);
    add_l2_stat(*l2);
    add_l2_capture(*l2);
}

} // namespace p2prdma::tool
