// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// RDMA into and out of card memory, in a machine with two adapters and a card.

#include "tests/guest/rdma_pair.hpp"
#include "tools/p2prdma/failure.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <infiniband/verbs.h>
#include <p2prdma/card.hpp>
#include <p2prdma/memory_region.hpp>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using p2prdma::Card;
using p2prdma::MemoryRegion;
using Bytes = std::vector<std::byte>;

constexpr std::size_t region_size = 1 << 20;
constexpr int local_access = IBV_ACCESS_LOCAL_WRITE;
constexpr int remote_access =
    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;

Bytes random_bytes(std::size_t count, std::uint32_t seed)
{
    std::mt19937 generator(seed);
    Bytes bytes(count);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(generator());
    return bytes;
}

/// Where two ranges first differ; their size if they do not.
std::size_t first_difference(const Bytes& one, const Bytes& other)
{
    const auto where = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
    return static_cast<std::size_t>(where.first - one.begin());
}

/// Host memory on the initiator's side and card memory on the target's.
struct Setup {
    RdmaPair pair;
    Card card = Card::open(0);
    p2prdma::Memory memory = card.allocate(region_size);
    p2prdma::Mapping mapping = memory.map();
    MemoryRegion remote{pair.target_pd(), memory, remote_access};
    Bytes buffer = Bytes(region_size);
    MemoryRegion local{pair.initiator_pd(), buffer, local_access};

    /// Fills the buffer in place: the region is of this storage.
    void fill(std::uint32_t seed)
    {
        std::ranges::copy(random_bytes(region_size, seed), buffer.begin());
    }

    void write(std::size_t from, std::size_t to, std::uint32_t length, std::uint32_t rkey)
    {
        pair.endpoint().write(1, {local.address() + from, length, local.lkey()},
                              {remote.address() + to, rkey});
        pair.complete(1);
    }
    void read(std::size_t into, std::size_t from, std::uint32_t length)
    {
        pair.endpoint().read(2, {local.address() + into, length, local.lkey()},
                             {remote.address() + from, remote.rkey()});
        pair.complete(1);
    }
    [[nodiscard]] Bytes card_bytes(std::size_t offset, std::size_t length) const
    {
        Bytes bytes(length);
        mapping.read(offset, bytes);
        return bytes;
    }
};

} // namespace

TEST_CASE("an RDMA write lands in card memory, where it was aimed at and nowhere else")
{
    const std::size_t length = GENERATE(1u, 7u, 64u, 4095u, 4096u, 65536u, 300001u);
    const std::size_t offset = GENERATE(0u, 1u, 4093u);
    Setup setup;
    setup.fill(1);
    setup.write(3, offset, static_cast<std::uint32_t>(length), setup.remote.rkey());

    Bytes expected(region_size);
    std::copy_n(setup.buffer.begin() + 3, length, expected.begin() + static_cast<long>(offset));
    CHECK(first_difference(setup.card_bytes(0, region_size), expected) == region_size);
}

TEST_CASE("an RDMA read fetches what the CPU stored in card memory")
{
    const std::size_t length = GENERATE(1u, 9u, 4096u, 65537u, 300001u);
    Setup setup;
    const Bytes stored = random_bytes(region_size, 2);
    setup.mapping.write(0, stored);
    setup.mapping.flush();
    setup.read(5, 4090, static_cast<std::uint32_t>(length));

    const auto fetched = setup.buffer.begin() + 5;
    CHECK(std::equal(fetched, fetched + static_cast<long>(length), stored.begin() + 4090));
    CHECK(setup.buffer[4] == std::byte{0});
    CHECK(setup.buffer[5 + length] == std::byte{0});
}

TEST_CASE("many writes in flight arrive whole")
{
    Setup setup;
    setup.fill(3);
    constexpr std::uint32_t piece = region_size / 32;
    for (std::uint32_t i = 0; i < 32; ++i)
        setup.pair.endpoint().write(i,
                                    {setup.local.address() + i * piece, piece, setup.local.lkey()},
                                    {setup.remote.address() + i * piece, setup.remote.rkey()});
    setup.pair.complete(32);
    CHECK(first_difference(setup.card_bytes(0, region_size), setup.buffer) == region_size);
}

TEST_CASE("a write one byte beyond the region fails and changes nothing")
{
    Setup setup;
    setup.fill(4);
    CHECK_THROWS_AS(setup.write(0, region_size - 63, 64, setup.remote.rkey()),
                    p2prdma::tool::Failure);
    CHECK(first_difference(setup.card_bytes(0, region_size), Bytes(region_size)) == region_size);
}

TEST_CASE("a write with a wrong key fails and changes nothing")
{
    Setup setup;
    setup.fill(5);
    CHECK_THROWS_AS(setup.write(0, 0, 64, setup.remote.rkey() ^ 1), p2prdma::tool::Failure);
    CHECK(first_difference(setup.card_bytes(0, region_size), Bytes(region_size)) == region_size);
}

TEST_CASE("card memory comes back zeroed after it held data, and all of it is free again")
{
    const Card card = Card::open(0);
    const auto before = card.info().mem_free;
    {
        Setup setup;
        setup.fill(6);
        setup.write(0, 0, region_size, setup.remote.rkey());
    }
    CHECK(card.info().mem_free == before);
    const auto again = card.allocate(region_size);
    Bytes bytes(region_size);
    again.map().read(0, bytes);
    CHECK(first_difference(bytes, Bytes(region_size)) == region_size);
}
