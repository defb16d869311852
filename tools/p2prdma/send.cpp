// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/address.hpp"
#include "tools/p2prdma/channel.hpp"
#include "tools/p2prdma/commands.hpp"
#include "tools/p2prdma/endpoint.hpp"
#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/input_file.hpp"
#include "tools/p2prdma/interrupt.hpp"
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
    Isolation::Level isolation = Isolation::Level::none;
    std::uint64_t piece = 0;
    unsigned timeout = 30;
    bool json = false;
};

struct Outcome {
    std::string device;
    std::string path;
    std::uint64_t pieces = 0;
    std::vector<std::uint32_t> lkeys;
    Digest digest = {};
    double seconds = 0;
};

Adapter choose_adapter(const Options& options, const std::optional<Card>& card,
                       wire::Transport transport)
{
    if (options.device.empty())
        return Adapter::choose(card, transport);
    auto adapter = Adapter::open(options.device);
    if (adapter.transport() != transport)
        throw Error(Errc::no_such_adapter,
                    adapter.name() + " speaks " + name_of(adapter.transport()) +
                        ", the receiver's RDMA device " + name_of(transport));
    return adapter;
}

Outcome transfer(const Options& options, const InputFile& file, const std::optional<Card>& card,
                 Channel& channel, Patience& patience)
{
    const auto peer = channel.receive<wire::Hello>();
    channel.set_token(channel.last_token());
    const auto adapter = choose_adapter(options, card, peer.transport);
    adapter.require_isolation(card, options.isolation);
    const auto endpoint = Endpoint::make(adapter, depth);
    endpoint->connect(peer);
    Sender sender(file, adapter, card, *endpoint, channel, patience);
    const auto start = Patience::Clock::now();
    channel.send(endpoint->address());
    channel.send(wire::Offer{file.size(), options.piece});
    const auto plan = channel.receive<wire::Plan>();
    Progress progress(file.size(), options.json);
    sender.move(plan, progress);
    const auto digest = sender.finish();
    channel.send(wire::Finish{file.size(), digest});
    const auto result = channel.receive<wire::Result>();
    if (result.bytes != file.size() || result.digest != digest)
        throw Failure(Exit::digest_mismatch, "digest_mismatch",
                      "the bytes that " + channel.peer() +
                          " received are not those that were sent");
    const std::chrono::duration<double> elapsed = Patience::Clock::now() - start;
    return {adapter.name(), adapter.path_to(card), plan.pieces, sender.lkeys(),
            digest,         elapsed.count()};
}

Outcome transfer_or_explain(const Options& options, const InputFile& file,
                            const std::optional<Card>& card, Channel& channel, Patience& patience)
{
    try {
        return transfer(options, file, card, channel, patience);
    } catch (const std::exception& error) {
        const auto failure = Failure::of(error);
        // A peer that died takes its memory with it: the adapter often tells first, and less.
        if (failure.code() == "rdma_failed" || failure.code() == "peer_lost")
            channel.last_words();
        channel.give_up(failure);
        throw failure;
    }
}

void report(const Options& options, const InputFile& file, const std::optional<Card>& card,
            const std::string& peer, const Outcome& outcome)
{
    if (options.json) {
        print({{"bytes", file.size()},
               {"sha256", to_hex(outcome.digest)},
               {"sha256_equal", true},
               {"seconds", outcome.seconds},
               {"pieces", outcome.pieces},
               {"peer", peer},
               {"device", outcome.device},
               {"card", card ? Json(card->number()) : Json()},
               {"path", outcome.path},
               {"lkeys", outcome.lkeys}});
        return;
    }
    std::printf("sent %s to %s, from %s through %s (%s)\nsha256 %s, equal at both ends\n",
                transfer_figures(file.size(), outcome.pieces, outcome.seconds).c_str(),
                peer.c_str(), card ? card->name().c_str() : "host memory", outcome.device.c_str(),
                outcome.path.c_str(), to_hex(outcome.digest).c_str());
}

void send(const Options& options)
{
    const auto to = Address::parse(options.to);
    const Interrupt interrupt;
    const InputFile file(options.file);
    const auto card = open_card(options.card);
    if (Adapter::list().empty())
        throw Error(Errc::no_such_adapter, "there is no RDMA device");
    Patience patience(interrupt, std::chrono::seconds(options.timeout));
    if (card)
        patience.watch_over([&card] { static_cast<void>(card->info()); });
    Channel channel(connect_to(to, patience), patience, to.host);
    const auto outcome = transfer_or_explain(options, file, card, channel, patience);
    report(options, file, card, channel.peer(), outcome);
}

} // namespace

void add_send(CLI::App& app)
{
    auto* command = app.add_subcommand(
        "send", "Write a file into the memory of another machine, or of its card");
    auto options = std::make_shared<Options>();
    command->add_option("FILE", options->file, "The file to send")->required();
    command
        ->add_option("--to", options->to, "The machine that runs `p2prdma recv`: HOST or HOST:PORT")
        ->required();
    command->add_option(
        "--card", options->card,
        "Send from this card's memory (number, PCI address or path) rather than the host's");
    command->add_option("--device", options->device,
                        "The RDMA device; default: the first that fits");
    add_piece(
        *command, options->piece,
        "Send in pieces of at most this size, such as 4M; the receiver may want smaller ones");
    add_isolation(*command, options->isolation);
    command
        ->add_option("--timeout", options->timeout,
                     "Give up after this many seconds in which nothing happened")
        ->capture_default_str()
        ->check(CLI::Range(1u, 86400u));
    command->add_flag("--json", options->json, "Print one JSON object, no progress bar");
    command->footer("Examples:\n"
                    "  p2prdma send disk.img --to node2\n"
                    "  p2prdma send disk.img --to [fd00::2]:9000 --device efa_0 --card 0 --json");
    command->callback([options] { send(*options); });
}

} // namespace p2prdma::tool
