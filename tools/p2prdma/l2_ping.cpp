// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/l2/queue_pair.hpp"
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/l2_commands.hpp"
#include "tools/p2prdma/l2_service.hpp"
#include "tools/p2prdma/l2_statistics.hpp"
#include "tools/p2prdma/latency.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/progress.hpp"

#include <array>
#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

namespace p2prdma::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t receives = 8; // an answer may come after its ping was given up

constexpr unsigned polls_between_looks = 64; // at the clock, which costs as much as a poll

struct Options {
    L2ClientOptions client;
    std::uint64_t count = 1000;
    std::uint32_t size = 64;
    double interval = 0; // seconds
};

/// The connection, with the memory of its messages.
class Pinger {
public:
    Pinger(const l2::Device& device, const l2::MacAddress& peer, const Options& options)
        : options_(options), domain_(device), memory_(std::max<std::size_t>(options.size, 1) * 2),
          region_(domain_, memory_, l2::Access::local_write), done_(device, 2 * receives),
          pair_(l2::QueuePair::connect(
              domain_, peer, options.client.service, done_, done_, Clock::now() + patience(),
              {.send_entries = receives, .receive_entries = receives},
              L2Greeting{L2Greeting::Purpose::echo, options.size, receives}.encode()))
    {
        for (std::uint32_t i = 0; i < receives; i++)
            receive();
    }

    /// How long a round trip took; nothing: it was not answered in time. \throws Failure
    std::optional<Latency::Time> ping(std::uint32_t number)
    {
        const auto start = Clock::now();
        send(number);
        while (const auto done = next(start + patience())) {
            if (done->operation != l2::Operation::receive)
                continue;
            receive();
            if (done->immediate == number)
                return Clock::now() - start;
        }
        return std::nullopt;
    }

private:
    std::chrono::seconds patience() const { return std::chrono::seconds(options_.client.timeout); }

    l2::Segment segment(std::size_t half) noexcept
    {
        return {memory_.data() + half * memory_.size() / 2, options_.size, region_.key()};
    }

    void send(std::uint32_t number)
    {
        const std::array segments = {segment(0)};
        l2::SendRequest request;
        request.segments = segments;
        request.immediate = number;
        request.has_immediate = true;
        request.inline_data = options_.size <= l2::max_inline;
        if (pair_.post_send(request) != std::errc())
            throw Failure(Exit::peer_lost, "peer_lost", "the peer no longer takes pings");
    }

    void receive()
    {
        const std::array segments = {segment(1)};
        static_cast<void>(pair_.post_receive({0, segments}));
    }

    std::optional<l2::Completion> next(Clock::time_point until)
    {
        std::array<l2::Completion, 1> done;
        std::size_t count = 0;
        if (!options_.client.polling)
            count = done_.wait(done, until);
        else
            for (unsigned polls = 1; (count = done_.poll(done)) == 0; polls++)
                if (polls % polls_between_looks == 0 && Clock::now() >= until)
                    break;
        if (count == 0)
            return std::nullopt;
        if (done[0].status != l2::Status::success)
            throw l2_operation_failure(options_.client.l2.interface, "a ping", done[0].status);
        return done[0];
    }

    const Options& options_;
    l2::ProtectionDomain domain_;
    std::vector<std::byte> memory_; // to send, and to receive
    l2::Region region_;
    l2::CompletionQueue done_;
    l2::QueuePair pair_;
};

struct Outcome {
    Latency latency;
    std::uint64_t sent = 0;
    std::uint64_t again = 0; // frames
    std::string ended;       // why before the last one
};

void wait_interval(const Options& options, Patience& patience)
{
    const auto interval = std::chrono::duration<double>(options.interval);
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(interval);
    while (Clock::now() < end)
        patience.wait({}, end - Clock::now(), "pinging");
}

/// Pings until all are sent, a signal comes or the connection ends.
void ping_all(Pinger& pinger, const Options& options, Patience& patience, Outcome& outcome)
{
    StatusLine line(options.client.json);
    try {
        for (std::uint64_t i = 0; i < options.count; i++) {
            patience.check("pinging");
            outcome.sent++;
            if (const auto time = pinger.ping(static_cast<std::uint32_t>(i)))
                outcome.latency.add(*time);
            if (line.is_due())
                line.show(std::to_string(i + 1) + " of " + std::to_string(options.count) + ": " +
                          outcome.latency.to_string());
            if (options.interval > 0 && i + 1 < options.count)
                wait_interval(options, patience);
        }
    } catch (const Failure& failure) {
        outcome.ended = failure.what();
    }
}

void report(const Options& options, const l2::Device& device, const l2::MacAddress& peer,
            const Outcome& outcome)
{
    const auto lost = outcome.sent - outcome.latency.count();
    if (options.client.json) {
        print({{"peer", peer.to_string()},
               {"interface", device.interface()},
               {"port", l2::to_string(device.port())},
               {"size", options.size},
               {"sent", outcome.sent},
               {"lost", lost},
               {"frames_again", outcome.again},
               {"round_trip_us", outcome.latency.to_json()},
               {"ended", outcome.ended}});
        return;
    }
    std::printf("%llu round trips of %u bytes with %s on %s (%s): %llu lost, %llu frames sent "
                "again\n%s\n",
                static_cast<unsigned long long>(outcome.sent), options.size,
                peer.to_string().c_str(), device.interface().c_str(), l2::to_string(device.port()),
                static_cast<unsigned long long>(lost),
                static_cast<unsigned long long>(outcome.again),
                outcome.latency.to_string().c_str());
}

void ping(const Options& options)
{
    const Interrupt interrupt;
    Patience patience(interrupt, Patience::no_limit);
    auto device = open_l2_client(options.client, true);
    const auto peer = find_l2_peer(device, options.client.peer, options.client.service, patience);
    Pinger pinger(device, peer, options);
    Outcome outcome;
    ping_all(pinger, options, patience, outcome);
    outcome.again = counter(device.statistics(), "retransmitted");
    report(options, device, peer, outcome);
    if (outcome.latency.count() == 0)
        throw Failure(Exit::peer_lost, "peer_lost",
                      outcome.ended.empty() ? "no ping was answered" : outcome.ended);
}

} // namespace

void add_l2_ping(CLI::App& l2)
{
    auto* command =
        l2.add_subcommand("ping", "Round trips of messages to a machine that runs `serve`");
    auto options = std::make_shared<Options>();
    add_l2_client_options(*command, options->client);
    command->add_option("-c,--count", options->count, "How many")
        ->capture_default_str()
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 32));
    command->add_option("--size", options->size, "Bytes of a message")
        ->capture_default_str()
        ->check(CLI::Range(0u, L2Greeting::max_size));
    command->add_option("--interval", options->interval, "Seconds between one and the next")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 3600.0));
    command->footer("Examples:\n"
                    "  p2prdma l2 ping -i eth0 node2\n"
                    "  p2prdma l2 ping -i eth0 02:00:00:00:00:02 -c 5 --interval 1\n"
                    "  p2prdma l2 ping -i eth0 node2 --polling --port-kind ring --json");
    command->callback([options] { ping(*options); });
}

} // namespace p2prdma::tool
