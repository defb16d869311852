// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/address.hpp"
#include "tools/p2prdma/card_site.hpp"
#include "tools/p2prdma/channel.hpp"
#include "tools/p2prdma/commands.hpp"
#include "tools/p2prdma/endpoint.hpp"
#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/l2_site.hpp"
#include "tools/p2prdma/output_file.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/progress.hpp"
#include "tools/p2prdma/receiver.hpp"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {
namespace {

/// How long a peer may take to say who it is; others may be waiting behind it.
constexpr auto greeting_time = std::chrono::seconds(5);

struct Options {
    std::string card;
    std::string out;
    std::string bind;
    std::string device;
    std::string via;
    L2Options l2;
    bool implicit = false;
    Isolation::Level isolation = Isolation::Level::none;
    std::uint16_t port = default_port;
    std::uint64_t piece = 0;
    unsigned timeout = 30;
    unsigned wait = 0;
    bool once = true;
    bool json = false;
};

struct Outcome {
    std::string peer;
    std::uint64_t bytes = 0;
    std::uint64_t pieces = 0;
    std::vector<std::uint32_t> rkeys;
    Digest digest = {};
    double seconds = 0;
};

/// A sender that has said who it is and what it has.
struct Guest {
    std::unique_ptr<Channel> channel;
    wire::Hello hello;
    wire::Offer offer;
};

/// All that lives as long as the command.
struct Station {
    const Options& options;
    const Site& site;
    Endpoint& endpoint;
    Patience& patience;
    OutputFile& out;
};

Guest greet(const Station& station, UniqueFd socket, const std::string& peer)
{
    station.patience.set_limit(greeting_time);
    Guest guest = {std::make_unique<Channel>(std::move(socket), station.patience, peer), {}, {}};
    try {
        guest.channel->set_token(random_number());
        guest.channel->send(station.endpoint.address());
        guest.hello = guest.channel->receive<wire::Hello>();
        if (guest.hello.transport != station.site.transport())
            throw Failure(Exit::failed, "protocol", peer + " speaks another transport");
        guest.offer = guest.channel->receive<wire::Offer>();
    } catch (const Failure& failure) {
        guest.channel->give_up(failure);
        throw;
    }
    return guest;
}

/// Waits for a sender; what is none, such as a port scan, is told of and ignored.
Guest wait_for_sender(const Station& station, const Listener& listener)
{
    const auto wait = station.options.wait;
    for (;;) {
        station.patience.set_limit(wait ? std::chrono::seconds(wait) : Patience::no_limit);
        std::string peer;
        auto socket = listener.accept(station.patience, peer);
        try {
            return greet(station, std::move(socket), peer);
        } catch (const Failure& failure) {
            if (failure.status() == Exit::interrupted)
                throw;
            std::fprintf(stderr, "p2prdma: ignored a connection from %s: %s\n", peer.c_str(),
                         failure.what());
        }
    }
}

Outcome transfer(const Station& station, const Guest& guest)
{
    auto& channel = *guest.channel;
    const auto start = Patience::Clock::now();
    station.endpoint.connect(guest.hello);
    Receiver receiver(station.site, guest.offer, station.options.piece);
    channel.send(receiver.plan());
    Progress progress(guest.offer.file_bytes, station.options.json);
    const auto digest = receiver.take(channel, station.patience, station.out, progress);
    const auto finish = channel.receive<wire::Finish>();
    const bool equal = finish.bytes == guest.offer.file_bytes && finish.digest == digest;
    if (equal)
        station.out.commit();
    channel.send(wire::Result{guest.offer.file_bytes, digest});
    if (!equal)
        throw Failure(Exit::digest_mismatch, "digest_mismatch",
                      "the bytes that arrived are not those that " + channel.peer() + " sent");
    const std::chrono::duration<double> elapsed = Patience::Clock::now() - start;
    return {channel.peer(), guest.offer.file_bytes, receiver.pieces().count, receiver.rkeys(),
            digest,         elapsed.count()};
}

Outcome transfer_or_tell(const Station& station, const Guest& guest)
{
    station.patience.set_limit(std::chrono::seconds(station.options.timeout));
    try {
        return transfer(station, guest);
    } catch (const std::exception& error) {
        const auto failure = Failure::of(error);
        guest.channel->give_up(failure);
        throw failure;
    }
}

void report(const Station& station, const Outcome& outcome)
{
    const auto card = station.site.card();
    const auto device = station.site.device();
    const auto path = station.site.path();
    if (station.options.json) {
        print({{"bytes", outcome.bytes},
               {"sha256", to_hex(outcome.digest)},
               {"sha256_equal", true},
               {"seconds", outcome.seconds},
               {"pieces", outcome.pieces},
               {"peer", outcome.peer},
               {"device", device},
               {"card", card ? Json(*card) : Json()},
               {"path", path},
               {"rkeys", outcome.rkeys},
               {"counters", to_json(station.site.counters())}});
        return;
    }
    std::fprintf(station.options.out == "-" ? stderr : stdout,
                 "received %s from %s, into %s through %s (%s)\nsha256 %s, equal at both ends\n",
                 transfer_figures(outcome.bytes, outcome.pieces, outcome.seconds).c_str(),
                 outcome.peer.c_str(), station.site.memory_name().c_str(), device.c_str(),
                 path.c_str(), to_hex(outcome.digest).c_str());
}

/// What this end works with.
struct Means {
    std::unique_ptr<L2Site> ethernet; // --via l2
    std::optional<direct::Session> session;
    std::optional<Card> card;
};

Means choose_means(const Options& options, OutputFile& out)
{
    Means means;
    if (wants_l2(options.l2, options.via, options.card, options.device)) {
        means.ethernet = std::make_unique<L2Site>(options.l2, L2Endpoint::Role::waits,
                                                  options.implicit ? &out : nullptr);
        return means;
    }
    means.session = CardSite::open_session(options.via, options.card);
    if (!means.session)
        means.card = open_card(options.card);
    return means;
}

std::unique_ptr<Site> choose_site(const Options& options,
                                  const std::optional<direct::Session>& session,
                                  const std::optional<Card>& card)
{
    if (session)
        return std::make_unique<CardSite>(*session, options.device);
    auto adapter = options.device.empty() ? Adapter::choose(card, std::nullopt)
                                          : Adapter::open(options.device);
    return std::make_unique<HostSite>(std::move(adapter), card);
}

std::unique_ptr<Listener> listen(const Options& options, const Means& means)
{
    const Address at = {options.bind, options.port};
    if (means.ethernet)
        return std::make_unique<L2Listener>(*means.ethernet, options.port);
    if (means.session)
        return std::make_unique<HostListener>(*means.session, at);
    return std::make_unique<Listener>(at);
}

void require_sense(const Options& options, const OutputFile& out)
{
    const auto refuse = [](const char* why) { throw Failure(Exit::usage, "usage", why); };
    if (options.json && options.out == "-")
        refuse("--json and --out - both want standard output");
    if (!options.l2.interface.empty() && !options.bind.empty())
        refuse("--bind is for TCP: not with --via l2");
    if (!options.implicit)
        return;
    if (options.l2.interface.empty())
        refuse("--implicit is for --via l2");
    if (!out.can_map())
        refuse("--implicit needs --out with a regular file");
    if (options.piece)
        refuse("--implicit receives the file as a whole: not with --piece");
}

void recv(const Options& options)
{
    const Interrupt interrupt;
    OutputFile out(options.out);
    require_sense(options, out);
    const auto means = choose_means(options, out);
    const auto own = means.ethernet ? nullptr : choose_site(options, means.session, means.card);
    const Site& site = own ? *own : *means.ethernet;
    site.require_isolation(options.isolation);
    const auto endpoint = site.make_endpoint(1);
    Patience patience(interrupt, Patience::no_limit);
    if (means.card)
        patience.watch_over([&means] { static_cast<void>(means.card->info()); });
    const auto listener = listen(options, means);
    const Station station = {options, site, *endpoint, patience, out};
    std::fprintf(stderr, "listening on %u\n", listener->port());
    const auto guest = wait_for_sender(station, *listener);
    report(station, transfer_or_tell(station, guest));
}

} // namespace

void add_recv(CLI::App& app)
{
    auto* command =
        app.add_subcommand("recv", "Receive one file into this machine's memory, or its card's");
    auto options = std::make_shared<Options>();
    command->add_option(
        "--card", options->card,
        "Receive into this card's memory (number, PCI address or path) rather than the host's");
    command->add_option(
        "--out", options->out,
        "Then write the bytes, as they lie in that memory, to this file; - is standard output");
    command
        ->add_option("--port", options->port,
                     "The TCP port, or service number of --via l2, to listen at; 0: any "
                     "free one")
        ->capture_default_str()
        ->check(CLI::Range(0u, 65535u));
    command->add_option("--bind", options->bind, "The local address to listen at; default: all");
    command->add_option("--device", options->device,
                        "The RDMA device; default: the first that reaches the card");
    add_piece(
        *command, options->piece,
        "Receive in pieces of at most this size, such as 4M; default: at once if there is room");
    add_via(*command, options->via);
    add_l2_options(*command, options->l2, false);
    command->add_flag("--implicit", options->implicit,
                      "With --via l2: receive straight into the pages of the --out file, which are "
                      "brought as the bytes come");
    add_isolation(*command, options->isolation);
    command
        ->add_option("--timeout", options->timeout,
                     "Give up after this many seconds in which nothing happened")
        ->capture_default_str()
        ->check(CLI::Range(1u, 86400u));
    command
        ->add_option("--wait", options->wait,
                     "Give up if no sender comes within this many seconds; 0: wait for ever")
        ->capture_default_str();
    command->add_flag("--once", options->once,
                      "Receive one file and end (always so; for scripts that want to say it)");
    command->add_flag("--json", options->json, "Print one JSON object, no progress bar");
    command->footer("Examples:\n"
                    "  p2prdma recv --card 0 --out disk.img\n"
                    "  p2prdma recv --bind 10.0.0.1 --port 9000 --out - | tar x\n"
                    "  p2prdma recv --via l2 -i eth0 --out disk.img --implicit");
    command->callback([options] { recv(*options); });
}

} // namespace p2prdma::tool
