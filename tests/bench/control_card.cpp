// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// What control calls cost a program on the card's own machine, which the host's daemon carries out:
// objects made and destroyed. Runs there; prints one JSON object, like control_host.

#include "tests/bench/stopwatch.hpp"

#include <p2prdma/direct.hpp>

#include <cstdio>
#include <exception>

namespace direct = p2prdma::direct;

namespace {

constexpr int rounds = 50;

void run()
{
    const auto session = direct::Session::open(0, {.name = "control_card"});
    const auto adapter = session.adapters().at(0);
    const direct::Memory memory(session, 65536);
    direct::CompletionQueue completions(session, 0, 128);
    const auto print = [](const char* name, auto operation, const char* end) {
        std::printf("\"%s\": %.1f%s", name, bench::median_microseconds(rounds, operation), end);
    };
    std::printf("{\"rounds\": %d, ", rounds);
    print(
        "memory", [&] { direct::Memory(session, 65536); }, ", ");
    print(
        "region", [&] { direct::Region(session, 0, memory, direct::Access::all); }, ", ");
    print(
        "address_handle", [&] { direct::AddressHandle(session, 0, adapter.gid); }, ", ");
    print(
        "completion_queue", [&] { direct::CompletionQueue(session, 0, 128); }, ", ");
    print(
        "queue_pair", [&] { direct::QueuePair(session, 0, completions); }, ", ");
    print(
        "queue_pair_with_counter",
        [&] {
            direct::QueuePair queue_pair(session, 0, completions);
            direct::Counter(session, queue_pair, direct::Counted::writes, memory, 0);
        },
        "}\n");
}

} // namespace

int main()
try {
    run();
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "control_card: %s\n", error.what());
    return 1;
}
