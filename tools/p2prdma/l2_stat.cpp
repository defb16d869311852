// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_commands.hpp"
#include "tools/p2prdma/l2_statistics.hpp"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {
namespace {

struct Options {
    L2Options l2;
    std::uint32_t service = 0;
    unsigned wait = 500; // milliseconds
    bool json = false;
};

/// What this machine is on the segment, and who else is there. A process that has the interface
/// looks around for us: it has one user at a time.
Json look(const Options& options)
{
    const auto processes =
        collect_l2_statistics(options.l2.interface, {options.service, options.wait});
    if (!processes.empty()) {
        auto json = processes.front();
        json.erase("counters");
        return json;
    }
    auto device = open_l2(options.l2);
    auto json = describe(device);
    json["peers"] = look_around(device, options.service, std::chrono::milliseconds(options.wait));
    return json;
}

std::string text(const Json& json, const char* key)
{
    const auto found = json.find(key);
    if (found == json.end())
        return "?";
    return found->is_string() ? found->get<std::string>() : found->dump();
}

void tell_peers(const Json& peers)
{
    std::puts(peers.empty() ? "nobody else answers on this segment" : "who answers:");
    for (const auto& peer : peers)
        std::printf("  %s  %-16s service %s, frames of %s bytes, page faults: %s%s\n",
                    text(peer, "address").c_str(), text(peer, "name").c_str(),
                    text(peer, "service").c_str(), text(peer, "frame_limit").c_str(),
                    peer["fault_delay"] == true ? "delay" : "rnr",
                    peer["authenticated"] == true ? ", knows the key" : "");
}

void tell_process(const Json& process)
{
    std::printf("process %s (%s) by %s:\n", text(process, "pid").c_str(),
                text(process, "command").c_str(), text(process, "port").c_str());
    const auto counters = process.value("counters", Json::object());
    for (const auto& [name, value] : counters.items())
        if (value != 0)
            std::printf("  %-28s %s\n", name.c_str(), value.dump().c_str());
}

void stat(const Options& options)
{
    auto json = look(options);
    const auto processes = collect_l2_statistics(options.l2.interface);
    json["processes"] = processes;
    if (options.json)
        return print(json);
    std::printf("%s (%s), frames of %s bytes: %s\n", text(json, "interface").c_str(),
                text(json, "address").c_str(), text(json, "frame_limit").c_str(),
                text(json, "port_reason").c_str());
    tell_peers(json["peers"]);
    for (const auto& process : processes)
        tell_process(process);
}

} // namespace

void add_l2_stat(CLI::App& l2)
{
    auto* command = l2.add_subcommand(
        "stat", "Who is there, what carries the frames and why, and the counters of this machine's "
                "processes");
    auto options = std::make_shared<Options>();
    add_l2_options(*command, options->l2, true);
    command->add_option("--service", options->service, "Only who serves this; 0: all")
        ->capture_default_str();
    command->add_option("--wait", options->wait, "Milliseconds to wait for answers")
        ->capture_default_str()
        ->check(CLI::Range(1u, 60000u));
    command->add_flag("--json", options->json, "Print one JSON object");
    command->footer("Examples:\n"
                    "  p2prdma l2 stat -i eth0\n"
                    "  p2prdma l2 stat -i eth0 --service 17472 --json");
    command->callback([options] { stat(*options); });
}

} // namespace p2prdma::tool
