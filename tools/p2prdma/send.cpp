// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/address.hpp"
#include "tools/p2prdma/card_site.hpp"
#include "tools/p2prdma/channel.hpp"
#include "tools/p2prdma/commands.hpp"
#include "tools/p2prdma/endpoint.hpp"
#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/input_file.hpp"
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/l2_site.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/progress.hpp"
#include "tools/p2prdma/sender.hpp"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {
namespace {

constexpr std::uint32_t depth = 32; // writes in flight

struct Options {
    std::string file;
    std::string to;
    std::string card;
    std::string device;
    std::string via;
    L2Options l2;
    Isolation::Level isolation = Isolation::Level::none;
    std::uint64_t piece = 0;
    unsigned timeout = 30;
    bool json = false;
};

struct Outcome {
    std::string device;
    std::string path;
    std::string memory;
    std::optional<unsigned> card;
    std::uint64_t pieces = 0;
    std::vector<std::uint32_t> lkeys;
    Json counters;
    Digest digest = {};
    double seconds = 0;
};

/// What this end works with: an Ethernet interface, a card's session with its host, or this
/// machine's own devices.
struct Means {
    const Options& options;
    std::shared_ptr<L2Site> ethernet;
    std::optional<direct::Session> session;
    std::optional<Card> card;
};

Means choose_means(const Options& options)
{
    Means means = {options, nullptr, std::nullopt, std::nullopt};
    if (wants_l2(options.l2, options.via, options.card, options.device)) {
        means.ethernet = std::make_shared<L2Site>(options.l2, L2Endpoint::Role::connects);
        return means;
    }
    means.session = CardSite::open_session(options.via, options.card);
    if (means.session)
        return means;
    means.card = open_card(options.card);
    if (Adapter::list().empty())
        throw Error(Errc::no_such_adapter, "there is no RDMA device");
    return means;
}

Adapter choose_adapter(const Means& means, wire::Transport transport)
{
    if (means.options.device.empty())
        return Adapter::choose(means.card, transport);
    return Adapter::open(means.options.device);
}

std::shared_ptr<Site> choose_site(const Means& means, wire::Transport transport)
{
    std::shared_ptr<Site> site = means.ethernet;
    if (means.session)
        site = std::make_shared<CardSite>(*means.session, means.options.device);
    else if (!site)
        site = std::make_shared<HostSite>(choose_adapter(means, transport), means.card);
    if (site->transport() != transport)
        throw Error(Errc::no_such_adapter,
                    site->device() + " speaks " + name_of(site->transport()) +
                        ", the receiver's RDMA device " + name_of(transport));
    site->require_isolation(means.options.isolation);
    return site;
}

Outcome transfer(const Means& means, const InputFile& file, Channel& channel, Patience& patience)
{
    const auto peer = channel.receive<wire::Hello>();
    channel.set_token(channel.last_token());
    const auto site = choose_site(means, peer.transport);
    const auto endpoint = site->make_endpoint(depth);
    Sender sender(file, *site, *endpoint, channel, patience);
    const auto start = Patience::Clock::now();
    channel.send(endpoint->address());
    channel.send(wire::Offer{file.size(), means.options.piece});
    endpoint->connect(peer); // which may need the other end, and that needs to know this one
    const auto plan = channel.receive<wire::Plan>();
    Progress progress(file.size(), means.options.json);
    sender.move(plan, progress);
    const auto digest = sender.finish();
    channel.send(wire::Finish{file.size(), digest});
    const auto result = channel.receive<wire::Result>();
    if (result.bytes != file.size() || result.digest != digest)
        throw Failure(Exit::digest_mismatch, "digest_mismatch",
                      "the bytes that " + channel.peer() +
                          " received are not those that were sent");
    const std::chrono::duration<double> elapsed = Patience::Clock::now() - start;
    return {site->device(), site->path(),   site->memory_name(),       site->card(),
            plan.pieces,    sender.lkeys(), to_json(site->counters()), digest,
            elapsed.count()};
}

Outcome transfer_or_explain(const Means& means, const InputFile& file, Channel& channel,
                            Patience& patience)
{
    try {
        return transfer(means, file, channel, patience);
    } catch (const std::exception& error) {
        const auto failure = Failure::of(error);
        // A peer that died takes its memory with it: the adapter often tells first, and less.
        if (failure.code() == "rdma_failed" || failure.code() == "peer_lost")
            channel.last_words();
        channel.give_up(failure);
        throw failure;
    }
}

void report(const Options& options, const InputFile& file, const std::string& peer,
            const Outcome& outcome)
{
    if (options.json) {
        print({{"bytes", file.size()},
               {"sha256", to_hex(outcome.digest)},
               {"sha256_equal", true},
               {"seconds", outcome.seconds},
               {"pieces", outcome.pieces},
               {"peer", peer},
               {"device", outcome.device},
               {"card", outcome.card ? Json(*outcome.card) : Json()},
               {"path", outcome.path},
               {"lkeys", outcome.lkeys},
               {"counters", outcome.counters}});
        return;
    }
    std::printf("sent %s to %s, from %s through %s (%s)\nsha256 %s, equal at both ends\n",
                transfer_figures(file.size(), outcome.pieces, outcome.seconds).c_str(),
                peer.c_str(), outcome.memory.c_str(), outcome.device.c_str(), outcome.path.c_str(),
                to_hex(outcome.digest).c_str());
}

/// The control connection where it is no TCP connection of this machine's.
std::unique_ptr<StreamBridge> build_bridge(const Means& means, const Address& to,
                                           Patience& patience)
{
    if (means.ethernet)
        return connect_by_l2(*means.ethernet, to, patience);
    return means.session ? connect_by_host(*means.session, to, patience) : nullptr;
}

void send(const Options& options)
{
    const auto to = Address::parse(options.to);
    const Interrupt interrupt;
    const InputFile file(options.file);
    const auto means = choose_means(options);
    Patience patience(interrupt, std::chrono::seconds(options.timeout));
    if (means.card)
        patience.watch_over([&means] { static_cast<void>(means.card->info()); });
    const auto bridge = build_bridge(means, to, patience);
    Channel channel(bridge ? bridge->take_socket() : connect_to(to, patience), patience, to.host);
    const auto outcome = transfer_or_explain(means, file, channel, patience);
    report(options, file, channel.peer(), outcome);
}

} // namespace

void add_send(CLI::App& app)
{
    auto* command = app.add_subcommand(
        "send", "Write a file into the memory of another machine, or of its card");
    auto options = std::make_shared<Options>();
    command->add_option("FILE", options->file, "The file to send")->required();
    command
        ->add_option("--to", options->to,
                     "The machine that runs `p2prdma recv`: HOST or HOST:PORT; with --via l2 also "
                     "its Ethernet address, and PORT is a service number")
        ->required();
    command->add_option(
        "--card", options->card,
        "Send from this card's memory (number, PCI address or path) rather than the host's");
    command->add_option("--device", options->device,
                        "The RDMA device; default: the first that fits");
    add_piece(
        *command, options->piece,
        "Send in pieces of at most this size, such as 4M; the receiver may want smaller ones");
    add_via(*command, options->via);
    add_l2_options(*command, options->l2, false);
    add_isolation(*command, options->isolation);
    command
        ->add_option("--timeout", options->timeout,
                     "Give up after this many seconds in which nothing happened")
        ->capture_default_str()
        ->check(CLI::Range(1u, 86400u));
    command->add_flag("--json", options->json, "Print one JSON object, no progress bar");
    command->footer("Examples:\n"
                    "  p2prdma send disk.img --to node2\n"
                    "  p2prdma send disk.img --to [fd00::2]:9000 --device efa_0 --card 0 --json\n"
                    "  p2prdma send disk.img --to node2 --via l2 -i eth0");
    command->callback([options] { send(*options); });
}

} // namespace p2prdma::tool
