// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/l2_commands.hpp"
#include "tools/p2prdma/l2_server.hpp"
#include "tools/p2prdma/l2_statistics.hpp"
#include "tools/p2prdma/patience.hpp"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {
namespace {

struct Options {
    L2Options l2;
    L2Server::Options server = {
        .service = default_l2_service, .memory = 64 << 20, .max_connections = 4096};
    unsigned time = 0; // seconds
    bool json = false;
};

void announce(const Options& options, const l2::Device& device)
{
    if (options.json) {
        print({{"interface", device.interface()},
               {"address", device.address().to_string()},
               {"service", options.server.service},
               {"port", l2::to_string(device.port())},
               {"port_reason", device.port_reason()},
               {"frame_limit", device.frame_limit()}});
        return;
    }
    std::fprintf(stderr, "serving %u on %s (%s): %s\n", options.server.service,
                 device.interface().c_str(), device.address().to_string().c_str(),
                 device.port_reason().c_str());
}

/// Serves until a signal comes, which is how it is meant to end, or the time is over.
void run(L2Server& server, const Interrupt& interrupt, unsigned seconds)
{
    Patience patience(interrupt, seconds ? std::chrono::seconds(seconds) : Patience::no_limit);
    try {
        server.run(patience);
    } catch (const Failure& failure) {
        if (failure.status() != Exit::interrupted && failure.code() != "timeout")
            throw;
    }
}

void serve(const Options& options)
{
    const Interrupt interrupt;
    auto l2 = options.l2;
    if (options.server.polling)
        l2.device.progress = l2::Progress::caller;
    auto device = open_l2(l2);
    const L2Publisher publisher(device, "l2 serve");
    L2Server server(device, options.server);
    announce(options, device);
    run(server, interrupt, options.time);
    if (options.json)
        print({{"counters", to_json(device.statistics())}});
}

} // namespace

void add_l2_serve(CLI::App& l2)
{
    auto* command = l2.add_subcommand(
        "serve", "Answer pings and measurements: echo messages, and offer memory");
    auto options = std::make_shared<Options>();
    add_l2_options(*command, options->l2, true);
    add_l2_service(*command, options->server.service);
    command
        ->add_option("--memory", options->server.memory,
                     "Bytes that clients may read and write, such as 64M")
        ->type_name("SIZE")
        ->transform(CLI::AsSizeValue(false).description(""))
        ->check(CLI::Range(std::uint64_t{8}, std::uint64_t{1} << 40));
    command
        ->add_option("--connections", options->server.max_connections,
                     "Refuse more connections at a time than these")
        ->capture_default_str()
        ->check(CLI::Range(1u, 65536u));
    command->add_option("--time", options->time, "End after so many seconds; 0: at a signal")
        ->capture_default_str();
    command->add_flag(
        "--implicit", options->server.implicit,
        "Register that memory implicitly: its pages are brought when they are needed");
    command->add_flag("--polling", options->server.polling,
                      "Never sleep: the shortest times, at the cost of a processor");
    command->add_flag("--json", options->json,
                      "Print a JSON object when it serves, and one with all counters at the end");
    command->footer("Examples:\n"
                    "  p2prdma l2 serve -i eth0\n"
                    "  p2prdma l2 serve -i eth0 --port-kind ring --polling --memory 1G");
    command->callback([options] { serve(*options); });
}

} // namespace p2prdma::tool
