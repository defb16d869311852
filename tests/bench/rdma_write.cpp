// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// rdma_write host|card: RDMA writes of 64 KiB from host memory through one adapter into memory
// behind another, which is the host's or the card's. Runs inside a lab machine with two adapters
// and a card; prints one JSON object. The runner adds what the devices counted.

#include "tests/bench/syscall_counter.hpp"
#include "tests/guest/rdma_pair.hpp"

#include <p2prdma/card.hpp>
#include <p2prdma/memory_region.hpp>

#include <cstdio>
#include <exception>
#include <optional>
#include <string_view>
#include <vector>

namespace {

constexpr std::uint32_t payload = 65536;
constexpr std::uint64_t writes = 2000;
constexpr std::uint64_t in_flight = 16;
constexpr int remote_access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;

/// Keeps `in_flight` writes outstanding until all are done.
void stream(RdmaPair& pair, const p2prdma::MemoryRegion& from, const p2prdma::MemoryRegion& to)
{
    const p2prdma::tool::LocalRange source{from.address(), payload, from.lkey()};
    for (std::uint64_t i = 0; i < writes; ++i) {
        if (i >= in_flight)
            pair.complete(1);
        pair.endpoint().write(i, source, {to.address(), to.rkey()});
    }
    pair.complete(in_flight);
}

void run(bool to_card)
{
    RdmaPair pair;
    std::vector<std::byte> source(payload, std::byte{0x5a});
    std::vector<std::byte> host(payload);
    const p2prdma::MemoryRegion local(pair.initiator_pd(), source, IBV_ACCESS_LOCAL_WRITE);
    std::optional<p2prdma::MemoryRegion> target;
    if (to_card)
        target.emplace(pair.target_pd(), p2prdma::Card::open(0).allocate(payload), remote_access);
    else
        target.emplace(pair.target_pd(), host, remote_access);

    bench::SyscallCounter syscalls;
    const auto begin = std::chrono::steady_clock::now();
    syscalls.start();
    stream(pair, local, *target);
    const auto calls = syscalls.count();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("{\"target\": \"%s\", \"writes\": %llu, \"syscalls_per_write\": %.4f, "
                "\"mib_per_second\": %.1f}\n",
                to_card ? "card" : "host", static_cast<unsigned long long>(writes),
                static_cast<double>(calls) / static_cast<double>(writes),
                static_cast<double>(writes * payload) / (1 << 20) / took.count());
}

} // namespace

int main(int argc, char** argv)
try {
    const std::string_view target = argc == 2 ? argv[1] : "";
    if (target != "host" && target != "card") {
        std::fprintf(stderr, "usage: rdma_write host|card\n");
        return 2;
    }
    run(target == "card");
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "rdma_write: %s\n", error.what());
    return 1;
}
