// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/options.hpp"

#include "p2prdma/version.hpp"

#include <charconv>
#include <cstring>
#include <string_view>

#include <CLI/CLI.hpp>
#include <arpa/inet.h>

namespace p2prdma::daemon {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  p2prdmad\n"
    "      serve card 0 with all EFA adapters of this host\n"
    "  p2prdmad --card 0000:03:00.0 --adapter efa_0 --isolation iommu-strict\n"
    "      only if a strict IOMMU keeps the card to what it is given\n"
    "  p2prdmad --memory 16M --queue-pairs 2 --listen 7000-7099 --peer 10.0.0.2\n"
    "      less for each client, and TCP with one other host only\n"
    "Exit status: 0 ended by a signal, 1 failed, 2 wrong usage, 3 no such card or adapter, or it\n"
    "has gone, 4 another p2prdmad serves the card, 5 the isolation is less than demanded.";

std::uint16_t port_of(std::string_view text)
{
    std::uint16_t port = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || stop != text.data() + text.size() || port == 0)
        throw UsageError("\"" + std::string(text) + "\" is no port (--listen)");
    return port;
}

NetworkPolicy::Ports ports_of(std::string_view text)
{
    const auto dash = text.find('-');
    const auto first = port_of(text.substr(0, dash));
    const auto last = dash == text.npos ? first : port_of(text.substr(dash + 1));
    if (last < first)
        throw UsageError("\"" + std::string(text) + "\" is no range of ports (--listen)");
    return {first, last};
}

std::array<std::uint8_t, 16> gid_of(const std::string& text)
{
    std::array<std::uint8_t, 16> gid = {};
    if (::inet_pton(AF_INET6, text.c_str(), gid.data()) != 1)
        throw UsageError("\"" + text + "\" is no GID (--peer-gid)");
    return gid;
}

Isolation::Level level_of(const std::string& text)
{
    if (const auto level = parse_isolation(text))
        return *level;
    throw UsageError("\"" + text +
                     "\" is no isolation: none, iommu-lazy or iommu-strict (--isolation)");
}

/// What is translated after the words were taken.
struct Words {
    std::string isolation = "none";
    std::vector<std::string> listen;
    std::vector<std::string> peer_gids;
};

void add_options(CLI::App& app, Options& options, Words& words)
{
    auto& quota = options.quota;
    app.add_option("--card", options.card, "the card: number, PCI address or path (default: 0)");
    app.add_option("--adapter", options.adapters,
                   "an RDMA adapter to serve it with; may be repeated (default: all of EFA)")
        ->allow_extra_args(false);
    app.add_option("--isolation", words.isolation,
                   "the least that must contain the card: none, iommu-lazy, iommu-strict");
    app.add_option("--memory", quota.memory, "card memory for each client (default: 64M)")
        ->transform(CLI::AsSizeValue(false));
    app.add_option("--queue-pairs", quota.queue_pairs, "queue pairs for each client (default: 8)");
    app.add_option("--objects", quota.objects, "objects for each client (default: 1024)");
    app.add_option("--streams", quota.streams, "TCP streams for each client (default: 16)");
    app.add_option("--listen", words.listen, "ports that clients may listen on (default: all)")
        ->allow_extra_args(false);
    app.add_option("--peer", options.network.peers,
                   "numeric address that clients may connect to; may be repeated (default: any)")
        ->allow_extra_args(false);
    app.add_option("--peer-gid", words.peer_gids,
                   "GID of an adapter that clients may address; may be repeated (default: any)")
        ->allow_extra_args(false);
    app.add_flag("--wait", options.wait, "wait for the card to be there");
    app.add_flag("--once", options.once, "end when the card goes, do not wait for it");
}

} // namespace

std::optional<Options> parse_options(int argc, const char* const* argv)
{
    Options options;
    Words words;
    CLI::App app("Serves the programs of a PCIe card's own machine with this host's RDMA adapters.",
                 "p2prdmad");
    app.set_version_flag("--version", std::string("p2prdmad ") + library_version());
    app.footer(examples);
    add_options(app, options, words);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() != 0)
            throw UsageError(error.what());
        app.exit(error); // --help, --version
        return std::nullopt;
    }
    options.isolation = level_of(words.isolation);
    for (const auto& text : words.listen)
        options.network.listen.push_back(ports_of(text));
    for (const auto& text : words.peer_gids)
        options.peer_gids.push_back(gid_of(text));
    return options;
}

} // namespace p2prdma::daemon
