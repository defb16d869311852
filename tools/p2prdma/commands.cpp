// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/commands.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/progress.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {

void print(const Json& json)
{
    // A file name or a peer's sentence may be no UTF-8.
    std::puts(json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    std::fflush(stdout);
}

Json to_json(const Failure& failure)
{
    return {{"error", failure.what()}, {"code", failure.code()}};
}

std::optional<Card> open_card(const std::string& name)
{
    return name.empty() ? std::nullopt : std::optional(Card::open(name));
}

void add_piece(CLI::App& command, std::uint64_t& bytes, const std::string& what)
{
    command.add_option("--piece", bytes, what)
        ->type_name("SIZE")
        ->transform(CLI::AsSizeValue(false).description(""))
        ->transform(CLI::Validator(
            [](const std::string& size) {
                return size.starts_with('-') ? "must not be negative" : "";
            },
            ""))
        ->check([](const std::string& size) { return size == "0" ? "must not be 0" : ""; });
}

void add_via(CLI::App& command, std::string& via)
{
    command
        .add_option(
            "--via", via,
            "On a card's own machine: drive the host's RDMA device from here (card), or use "
            "this machine's own (host); default: card if it has none. Anywhere: frames of the "
            "Ethernet --interface, without IP (l2)")
        ->check(CLI::IsMember({"card", "host", "l2"}));
}

void add_isolation(CLI::App& command, Isolation::Level& level)
{
    command
        .add_option_function<std::string>(
            "--isolation", [&level](const std::string& name) { level = *parse_isolation(name); },
            "Refuse a card that is less isolated: none, iommu-lazy or iommu-strict")
        ->type_name("LEVEL")
        ->default_str("none")
        ->check([](const std::string& name) {
            return parse_isolation(name)
                       ? ""
                       : "'" + name + "' is none of none, iommu-lazy, iommu-strict";
        });
}

Json to_json(const std::vector<std::pair<std::string, std::uint64_t>>& counters)
{
    auto json = Json::object();
    for (const auto& [name, value] : counters)
        json[name] = value;
    return json;
}

std::string transfer_figures(std::uint64_t bytes, std::uint64_t pieces, double seconds)
{
    std::string text = human_bytes(bytes);
    if (bytes >= 1024)
        text += " (" + std::to_string(bytes) + " bytes)";
    text += " in " + std::to_string(pieces) + (pieces == 1 ? " piece" : " pieces");
    char time[32];
    std::snprintf(time, sizeof(time), ", %.2f s", seconds);
    text += time;
    if (seconds > 0)
        text += ", " +
                human_bytes(static_cast<std::uint64_t>(static_cast<double>(bytes) / seconds)) +
                "/s";
    return text;
}

} // namespace p2prdma::tool
