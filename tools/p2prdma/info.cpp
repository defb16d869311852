// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "tools/p2prdma/commands.hpp"
#include "tools/p2prdma/describe.hpp"
#include "tools/p2prdma/progress.hpp"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <infiniband/verbs.h>

namespace p2prdma::tool {
namespace {

struct Options {
    std::string card;
    bool json = false;
};

/// Whether a name, or the lack of one, means a card whose own machine this is.
bool means_local(const std::string& name)
{
    if (name.empty())
        return Card::enumerate().empty() && !LocalCard::enumerate().empty();
    return name.substr(name.rfind('/') + 1).starts_with("local");
}

/// The first card, if the user names none.
Card open_any(const std::string& name)
{
    if (!name.empty())
        return Card::open(name);
    const auto cards = Card::enumerate();
    if (cards.empty())
        throw Error(Errc::no_such_card, "no card is bound to p2prdma");
    return Card::open(cards.front().number);
}

LocalCard open_any_local(const std::string& name)
{
    if (!name.empty())
        return LocalCard::open(name);
    const auto cards = LocalCard::enumerate();
    if (cards.empty())
        throw Error(Errc::card_gone, "the card has just been removed or unbound");
    return LocalCard::open(cards.front().number);
}

Json reaches(const Card& card)
{
    Json reaches = Json::array();
    int count = 0;
    const std::unique_ptr<ibv_device*, decltype(&ibv_free_device_list)> devices(
        ibv_get_device_list(&count), &ibv_free_device_list);
    for (int i = 0; i < count; i++) {
        const auto reach = card.reach(*devices.get()[i]);
        reaches.push_back(describe(reach));
        if (reach.peer_is_pci)
            reaches.back()["isolation"] = describe(card.isolation(reach.peer));
    }
    return reaches;
}

void print_text(const Json& card)
{
    const auto text = [&](const char* key) { return card[key].get<std::string>(); };
    const auto size = [&](const char* key) { return human_bytes(card[key]); };
    std::printf("card%u\n", card["card"].get<unsigned>());
    std::printf("  path          %s\n", text("path").c_str());
    std::printf("  PCI           %s [%s], NUMA node %d\n", text("pci").c_str(), text("ids").c_str(),
                card["numa_node"].get<int>());
    std::printf("  driver        %s (ABI %u)\n", text("driver").c_str(),
                card["abi_version"].get<unsigned>());
    std::printf("  memory        %s, %s free, %s in one range, granule %s\n",
                size("mem_size").c_str(), size("mem_free").c_str(),
                size("mem_largest_free").c_str(), size("mem_granule").c_str());
    std::string capabilities;
    for (const auto& each : card["capabilities"])
        capabilities += (capabilities.empty() ? "" : ", ") + each.get<std::string>();
    std::printf("  capabilities  %s\n", capabilities.empty() ? "none" : capabilities.c_str());
    for (const auto& reach : card["reach"]) {
        std::printf("  %s\n", reach["explain"].get<std::string>().c_str());
        if (reach.contains("isolation"))
            std::printf("    isolation: %s: %s\n",
                        reach["isolation"]["level"].get<std::string>().c_str(),
                        reach["isolation"]["reason"].get<std::string>().c_str());
    }
}

void print_local_text(const Json& card)
{
    const auto text = [&](const char* key) { return card[key].get<std::string>(); };
    const auto count = [&](const char* key) { return card[key].get<unsigned>(); };
    std::printf("local%u: this is the card's own machine\n", count("local"));
    std::printf("  path          %s (ABI %u)\n", text("path").c_str(), count("abi_version"));
    std::printf("  PCI           pool %s, aperture %s\n", text("pool").c_str(),
                text("aperture").c_str());
    std::printf("  serial        %s\n", text("serial").c_str());
    std::printf("  host          %s\n", text("state").c_str());
    std::printf("  memory        %s, shared with the host\n",
                human_bytes(card["mem_size"]).c_str());
    std::printf("  windows       %u\n", count("windows"));
    std::printf("  doorbells     %u\n", count("doorbells"));
}

void local_info(const Options& options)
{
    const auto card = open_any_local(options.card);
    const Json json = describe(card.number(), card.info());
    if (options.json)
        print(json);
    else
        print_local_text(json);
}

void info(const Options& options)
{
    if (means_local(options.card)) {
        local_info(options);
        return;
    }
    const auto card = open_any(options.card);
    Json json = describe(card.number(), card.info());
    json["reach"] = reaches(card);
    if (options.json)
        print(json);
    else
        print_text(json);
}

} // namespace

void add_info(CLI::App& app)
{
    auto* command =
        app.add_subcommand("info", "Tell what a card is, and which RDMA devices reach its memory");
    auto options = std::make_shared<Options>();
    command->add_option("CARD", options->card,
                        "The card: its number, PCI address or path; default: the first");
    command->add_flag("--json", options->json, "Print one JSON object");
    command->footer("Examples:\n  p2prdma info\n  p2prdma info 0000:03:00.0 --json");
    command->callback([options] { info(*options); });
}

} // namespace p2prdma::tool
