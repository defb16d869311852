// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// direct_operation DIRECTORY OPERATIONS: RDMA writes by the card's CPU in steady state, of each
// kind in turn, for who counts what they cost. Says "ready KIND", waits for DIRECTORY/go-KIND,
// carries the operations out, says "done KIND slept N": how often it gave the CPU up.
#include <p2prdma/direct/address_handle.hpp>
#include <p2prdma/direct/completion_queue.hpp>
#include <p2prdma/direct/counter.hpp>
#include <p2prdma/direct/event.hpp>
#include <p2prdma/direct/memory.hpp>
#include <p2prdma/direct/queue_pair.hpp>
#include <p2prdma/direct/region.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace direct = p2prdma::direct;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint32_t depth = 64;
constexpr unsigned warm_up = 2 * depth; // every ring has wrapped
constexpr auto patience = std::chrono::seconds(60);
constexpr int patience_ms = 60000;

/// Two queue pairs of one adapter: what one writes lands in the same card's memory.
struct Station {
    Station(std::uint32_t inline_bytes, bool with_counter)
        : queue(session, 0, completions, {.send_entries = depth, .inline_bytes = inline_bytes})
    {
        if (with_counter)
            counter.emplace(session, target, direct::Counted::remote_writes, event);
    }
    direct::Session session = direct::Session::open(0, {.name = "direct_operation"});
    direct::CompletionQueue completions{session, 0, 2 * depth}; // for both
    direct::QueuePair queue;
    direct::QueuePair target{session, 0, completions};
    direct::AddressHandle handle{session, 0, session.adapters().at(0).gid};
    direct::Memory memory{session, 8192};
    direct::Region region{session, 0, memory, direct::Access::all};
    direct::Peer peer{handle.number(), target.number(), target.key()};
    direct::Event event{session, 0};
    std::optional<direct::Counter> counter; ///< of what is written to the target: raises the event
    std::uint64_t counted = 0;

    void await(unsigned count)
    {
        const auto deadline = Clock::now() + patience;
        unsigned idle = 0;
        for (direct::Completion completion; count > 0;) {
            if (!completions.poll(completion)) {
                if (++idle % 256 == 0 && !session.alive())
                    throw std::runtime_error("the host, or its adapter, has gone");
                if (Clock::now() > deadline)
                    throw std::runtime_error("a write does not complete");
            } else if (completion.status != direct::Status::ok) {
                throw std::runtime_error(std::string(to_string(completion.status)));
            } else {
                --count;
            }
        }
    }
};

void check(direct::Posted posted)
{
    if (posted != direct::Posted::ok)
        throw std::runtime_error("a write cannot be posted");
}

void write(Station& at)
{
    check(at.queue.post_write(0, at.peer, at.region.local(0, 64), at.region.remote(4096)));
    at.await(1);
}

void write_inline(Station& at)
{
    static constexpr std::array<std::byte, 80> data = {};
    const auto length = std::min<std::size_t>(at.queue.max_inline_write(), data.size());
    check(at.queue.post_write_inline(0, at.peer, std::span(data).first(length),
                                     at.region.remote(4096)));
    at.await(1);
}

void write_batch(Station& at)
{
    constexpr unsigned batch = 16;
    for (unsigned i = 0; i < batch; ++i)
        check(at.queue.add_write(i, at.peer, at.region.local(0, 64), at.region.remote(4096)));
    at.queue.ring();
    at.await(batch);
}

/// Sleeps until the interrupt of the target's counter, without a look at the count before.
void write_and_sleep(Station& at)
{
    check(at.queue.post_write(0, at.peer, at.region.local(0, 64), at.region.remote(4096)));
    pollfd interrupt{at.event.fd(), POLLIN, 0};
    std::uint64_t raises = 0;
    ++at.counted;
    do {
        if (::poll(&interrupt, 1, patience_ms) != 1 ||
            ::read(interrupt.fd, &raises, sizeof(raises)) != sizeof(raises))
            throw std::runtime_error("no interrupt in time");
    } while (at.event.value() != at.counted);
    at.await(1);
}

struct Kind {
    const char* name;
    std::uint32_t inline_bytes;
    unsigned each; ///< operations of one call
    bool sleeps;
    void (*run)(Station&);
};

constexpr std::array<Kind, 4> kinds = {
    Kind{"write", 32, 1, false, write}, Kind{"inline_80", 80, 1, false, write_inline},
    Kind{"batch_16", 32, 16, false, write_batch}, Kind{"event", 32, 1, true, write_and_sleep}};

void repeat(const Kind& kind, Station& at, unsigned operations)
{
    for (unsigned done = 0; done < operations; done += kind.each)
        kind.run(at);
}

/// How often this process gave up the CPU by itself.
long sleeps()
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

void wait_for(const std::filesystem::path& file)
{
    const auto deadline = Clock::now() + patience;
    while (!std::filesystem::exists(file)) {
        if (Clock::now() > deadline)
            throw std::runtime_error("nobody made " + file.string());
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

} // namespace

int main(int count, char** arguments)
try {
    if (count != 3)
        throw std::runtime_error("usage: direct_operation DIRECTORY OPERATIONS");
    const std::filesystem::path directory = arguments[1];
    const auto operations = static_cast<unsigned>(std::stoul(arguments[2]));
    for (const Kind& kind : kinds) {
        Station station(kind.inline_bytes, kind.sleeps);
        repeat(kind, station, warm_up);
        std::printf("ready %s\n", kind.name);
        std::fflush(stdout);
        wait_for(directory / (std::string("go-") + kind.name));
        const auto before = sleeps();
        repeat(kind, station, operations);
        std::printf("done %s slept %ld\n", kind.name, sleeps() - before);
        std::fflush(stdout);
        wait_for(directory / (std::string("end-") + kind.name));
    }
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "direct_operation: %s\n", error.what());
    return 1;
}
