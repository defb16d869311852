// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Writes by RDMA into card memory until it is killed; says "flowing" when it does. For scenarios
// in which the card or this program ends in the middle of it.

#include "tests/guest/rdma_pair.hpp"

#include <infiniband/verbs.h>
#include <p2prdma/card.hpp>
#include <p2prdma/memory_region.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <vector>

namespace {

constexpr std::uint32_t piece = 64 << 10;
constexpr std::uint32_t pieces = 16;
constexpr int remote_access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;

void stream()
{
    RdmaPair pair(pieces);
    const p2prdma::Card card = p2prdma::Card::open(0);
    const p2prdma::Memory memory = card.allocate(piece * pieces);
    const p2prdma::MemoryRegion remote(pair.target_pd(), memory, remote_access);
    std::vector<std::byte> buffer(piece, std::byte{0x5a});
    const p2prdma::MemoryRegion local(pair.initiator_pd(), buffer, IBV_ACCESS_LOCAL_WRITE);
    for (std::uint64_t round = 0;; round++) {
        for (std::uint32_t i = 0; i < pieces; i++)
            pair.endpoint().write(i, {local.address(), piece, local.lkey()},
                                  {remote.address() + i * piece, remote.rkey()});
        pair.complete(pieces);
        if (round == 2)
            std::cout << "flowing" << std::endl;
    }
}

} // namespace

int main()
{
    try {
        stream();
    } catch (const std::exception& failure) {
        std::cerr << "uapi_rdma_stream: " << failure.what() << '\n';
    }
    return 1;
}
