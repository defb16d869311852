// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/lossy_port.hpp"
#include "lib/l2/memory_port.hpp"
#include "tests/l2/veth.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;
using namespace p2prdma::l2::test;

namespace {

const MacAddress alice = {{2, 0, 0, 0, 0, 1}};
const MacAddress bob = {{2, 0, 0, 0, 0, 2}};

struct Result {
    std::vector<unsigned> arrived;
    std::uint64_t lost = 0;
};

Result run(double lose, std::uint64_t seed, unsigned frames, unsigned batch)
{
    Network network(1);
    LossyPort a(network.attach(alice), lose, seed);
    const auto b = network.attach(bob);
    std::vector<Bytes> bytes(batch);
    std::vector<Outgoing> outgoing(batch);
    Result result;
    for (unsigned sent = 0; sent < frames; sent += batch) {
        for (unsigned i = 0; i < batch; i++) {
            bytes[i] = make_frame(bob, alice, 60, sent + i);
            outgoing[i] = {.pieces = {bytes[i]}, .count = 1};
        }
        REQUIRE(a.send(outgoing) == batch);
        network.deliver(network.now());
        std::array<std::span<const std::byte>, 64> got;
        while (const auto count = b->receive(got))
            for (std::size_t i = 0; i < count; i++)
                std::memcpy(&result.arrived.emplace_back(), got[i].data() + 14, sizeof(unsigned));
    }
    result.lost = a.statistics().back().second;
    return result;
}

} // namespace

TEST_CASE("LossyPort: loses as often as it was told, whatever the batches")
{
    const auto one = run(0.1, 7, 40'000, 1);
    const auto many = run(0.1, 7, 40'000, 50);
    CHECK(one.arrived == many.arrived);
    CHECK(one.lost > 3700);
    CHECK(one.lost < 4300);
    CHECK(one.arrived.size() + one.lost == 40'000);
    CHECK(run(0.1, 8, 1000, 50).arrived != run(0.1, 7, 1000, 50).arrived);
}

TEST_CASE("LossyPort: all or none")
{
    CHECK(run(1, 1, 100, 10).arrived.empty());
    CHECK(run(1e-12, 1, 100, 10).arrived.size() == 100);
}

TEST_CASE("LossyPort: what the port below did not take is not lost")
{
    Network network(1);
    LossyPort a(network.attach(alice, {.bits_per_second = 1'000'000, .send_queue = 1000}), 0.5, 1);
    const auto frame = make_frame(bob, alice, 500);
    std::vector<Outgoing> outgoing(64, Outgoing{.pieces = {frame}, .count = 1});
    const auto taken = a.send(outgoing);
    CHECK(taken < 64);
    CHECK(taken == network.counters().sent + a.statistics().back().second);
    CHECK_FALSE(a.send(outgoing) == 64);
}
