// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/l2_commands.hpp"
#include "tools/p2prdma/l2_load.hpp"
#include "tools/p2prdma/l2_statistics.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/progress.hpp"

#include <cstdio>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {
namespace {

const std::map<std::string, l2::Operation> operations = {
    {"send", l2::Operation::send},
    {"write", l2::Operation::write},
    {"read", l2::Operation::read},
    {"fetch-add", l2::Operation::fetch_add},
    {"compare-swap", l2::Operation::compare_swap},
};

struct Options {
    L2ClientOptions client;
    std::string operation = "write";
    std::uint32_t size = 65536;
    std::uint32_t queue_pairs = 1;
    std::uint32_t window = 0;
    double time = 5; // seconds
    bool latency = false;
};

L2Load::Options load_options(const Options& options)
{
    const auto window = options.window ? options.window : options.latency ? 1u : 64u;
    return {.operation = operations.at(options.operation),
            .service = options.client.service,
            .size = options.size,
            .queue_pairs = options.queue_pairs,
            .window = window,
            .polling = options.client.polling,
            .timeout = std::chrono::seconds(options.client.timeout)};
}

bool is_atomic(const Options& options)
{
    return options.operation == "fetch-add" || options.operation == "compare-swap";
}

struct Rate {
    double operations_per_second = 0;
    double gigabits_per_second = 0;
};

Rate rate_of(const Options& options, const L2Load::Result& result)
{
    const double seconds = std::max(result.seconds.count(), 1e-9);
    const double per_second = static_cast<double>(result.operations) / seconds;
    return {per_second, per_second * (is_atomic(options) ? 8.0 : options.size) * 8 / 1e9};
}

std::string figures(const Rate& rate)
{
    char text[96];
    std::snprintf(text, sizeof(text), "%.0f operations/s, %.3f Gbit/s", rate.operations_per_second,
                  rate.gigabits_per_second);
    return text;
}

Json to_json(const Options& options, const l2::Device& device, const l2::MacAddress& peer,
             const L2Load::Result& result)
{
    const auto rate = rate_of(options, result);
    return {{"peer", peer.to_string()},
            {"interface", device.interface()},
            {"port", l2::to_string(device.port())},
            {"port_reason", device.port_reason()},
            {"operation", options.operation},
            {"size", is_atomic(options) ? 8 : options.size},
            {"queue_pairs", options.queue_pairs},
            {"window", load_options(options).window},
            {"seconds", result.seconds.count()},
            {"operations", result.operations},
            {"operations_per_second", rate.operations_per_second},
            {"gigabits_per_second", rate.gigabits_per_second},
            {"latency_us", result.latency.to_json()},
            {"counters", tool::to_json(device.statistics())}};
}

void report(const Options& options, const l2::Device& device, const l2::MacAddress& peer,
            const L2Load::Result& result)
{
    if (options.client.json)
        return print(to_json(options, device, peer, result));
    const auto statistics = device.statistics();
    std::printf("%s, %.2f s, to %s on %s (%s): %llu frames sent, %llu again\n",
                figures(rate_of(options, result)).c_str(), result.seconds.count(),
                peer.to_string().c_str(), device.interface().c_str(), l2::to_string(device.port()),
                static_cast<unsigned long long>(counter(statistics, "frames_sent")),
                static_cast<unsigned long long>(counter(statistics, "retransmitted")));
    if (options.latency)
        std::printf("from post to completion: %s\n", result.latency.to_string().c_str());
}

void perf(const Options& options)
{
    const Interrupt interrupt;
    Patience patience(interrupt, Patience::no_limit);
    auto device = open_l2_client(options.client, options.latency);
    const L2Publisher publisher(device, "l2 perf");
    const auto peer = find_l2_peer(device, options.client.peer, options.client.service, patience);
    L2Load load(device, peer, load_options(options));
    StatusLine line(options.client.json);
    const auto time = std::chrono::duration<double>(options.time);
    const auto result = load.run(std::chrono::duration_cast<L2Load::Clock::duration>(time),
                                 [&](const auto& so_far) {
                                     patience.check("measuring");
                                     if (line.is_due())
                                         line.show(figures(rate_of(options, so_far)));
                                 });
    line.clear();
    report(options, device, peer, result);
}

void add_measure_options(CLI::App& command, Options& options)
{
    command.add_option("--op", options.operation, "What is measured")
        ->capture_default_str()
        ->check(CLI::IsMember(operations));
    command
        .add_option("--size", options.size, "Bytes of an operation, such as 64K; atomics have 8")
        ->type_name("SIZE")
        ->capture_default_str()
        ->transform(CLI::AsSizeValue(false).description(""))
        ->check(CLI::Range(0u, L2Greeting::max_size));
    command.add_option("--time", options.time, "Seconds")
        ->capture_default_str()
        ->check(CLI::Range(0.01, 86400.0));
    command.add_option("--queue-pairs", options.queue_pairs, "Connections")
        ->capture_default_str()
        ->check(CLI::Range(1u, 16384u));
    command
        .add_option("--window", options.window,
                    "Operations under way on each; default: 64, or 1 with --latency")
        ->check(CLI::Range(1u, L2Greeting::max_window));
    command.add_flag("--latency", options.latency,
                     "Tell how long operations take from post to completion");
}

} // namespace

void add_l2_perf(CLI::App& l2)
{
    auto* command = l2.add_subcommand(
        "perf", "Measure operations with a machine that runs `serve`: rate, bandwidth, latency");
    auto options = std::make_shared<Options>();
    add_l2_client_options(*command, options->client);
    add_measure_options(*command, *options);
    command->footer("Examples:\n"
                    "  p2prdma l2 perf -i eth0 node2\n"
                    "  p2prdma l2 perf -i eth0 node2 --op read --size 4K --window 16\n"
                    "  p2prdma l2 perf -i eth0 node2 --op write --size 64 --latency --polling "
                    "--port-kind ring\n"
                    "  p2prdma l2 perf -i eth0 node2 --op fetch-add --queue-pairs 1000 --window 1 "
                    "--json");
    command->callback([options] { perf(*options); });
}

} // namespace p2prdma::tool
