// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "tools/p2prdma/commands.hpp"
#include "tools/p2prdma/describe.hpp"
#include "tools/p2prdma/progress.hpp"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {
namespace {

/// What is there of `Kind`; one that goes meanwhile is left out.
template <typename Kind>
Json list_kind()
{
    Json all = Json::array();
    for (const auto& entry : Kind::enumerate()) {
        try {
            all.push_back(describe(entry.number, Kind::open(entry.number).info()));
        } catch (const Error& error) {
            if (error.code() != std::errc::no_such_device)
                throw;
        }
    }
    return all;
}

Json list_adapters()
{
    Json adapters = Json::array();
    for (const auto& entry : Adapter::list())
        adapters.push_back(describe(entry));
    return adapters;
}

void print_cards(const Json& cards)
{
    for (const auto& card : cards)
        std::printf("card%-4u %s  %-8s %10s, %s free\n", card["card"].get<unsigned>(),
                    card["pci"].get<std::string>().c_str(),
                    card["driver"].get<std::string>().c_str(),
                    human_bytes(card["mem_size"]).c_str(), human_bytes(card["mem_free"]).c_str());
}

void print_local_cards(const Json& cards)
{
    for (const auto& card : cards)
        std::printf("local%-3u %s  %-8s %10s, this is its own machine\n",
                    card["local"].get<unsigned>(), card["pool"].get<std::string>().c_str(),
                    card["state"].get<std::string>().c_str(),
                    human_bytes(card["mem_size"]).c_str());
}

void print_adapters(const Json& adapters)
{
    if (adapters.empty())
        std::puts("no RDMA devices");
    for (const auto& adapter : adapters)
        std::printf("%-8s %-12s  %-8s %s\n", adapter["device"].get<std::string>().c_str(),
                    adapter["pci"].is_null() ? "-" : adapter["pci"].get<std::string>().c_str(),
                    adapter["transport"].get<std::string>().c_str(),
                    adapter["active"].get<bool>() ? "active" : "no active port");
}

void list(bool json)
{
    const Json cards = list_kind<Card>();
    const Json local_cards = list_kind<LocalCard>();
    const Json adapters = list_adapters();
    if (json) {
        print({{"cards", cards}, {"local_cards", local_cards}, {"adapters", adapters}});
        return;
    }
    if (cards.empty() && local_cards.empty())
        std::puts("no cards");
    print_cards(cards);
    print_local_cards(local_cards);
    print_adapters(adapters);
}

} // namespace

void add_list(CLI::App& app)
{
    auto* command =
        app.add_subcommand("list", "List the cards and the RDMA devices of this machine");
    auto json = std::make_shared<bool>(false);
    command->add_flag("--json", *json, "Print one JSON object");
    command->footer("Example:\n  p2prdma list");
    command->callback([json] { list(*json); });
}

} // namespace p2prdma::tool
