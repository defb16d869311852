// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/direct_efa_rig.hpp"

#include "p2prdma/error.hpp"

#include <array>
#include <random>
#include <vector>

using namespace direct_test;

namespace {

/// A completion queue in plain memory with one queue pair, and what its adapter would write.
struct Plain {
    Plain() { cq.attach(number, &send, &receive); }

    std::span<volatile std::byte> memory(auto& words)
    {
        return device_memory(std::as_writable_bytes(std::span(words)));
    }
    /// Writes completion `index`, a running count, in the phase that is its turn.
    void write(std::uint32_t index, std::uint64_t word, std::uint64_t second = 0)
    {
        const std::uint64_t phase = (index / 8) % 2 == 0 ? 1u << 24 : 0;
        entries[index % 8 * 2 + 1] = second;
        entries[index % 8 * 2] = word | phase | std::uint64_t{number} << 32;
    }
    static std::uint64_t sent(std::uint16_t device_id) { return device_id | 1u << 25; }
    std::uint16_t post(std::uint64_t id)
    {
        const auto index = posted++ % 4;
        REQUIRE(send.add_send(id, {}, {}) == Posted::ok);
        return static_cast<std::uint16_t>(ring[index * 8]);
    }

    static constexpr std::uint16_t number = 0x321;
    std::array<std::uint64_t, 16> entries{};
    std::array<std::uint64_t, 32> ring{};
    std::array<std::uint64_t, 8> receive_ring{};
    volatile std::uint32_t doorbell = 0;
    std::uint32_t posted = 0;
    EfaSendQueue send{{memory(ring), &doorbell, 4, 64}};
    EfaReceiveQueue receive{{memory(receive_ring), &doorbell, 4}};
    EfaCompletionQueue cq{{memory(entries), 8, 16}};
    Completion got{};
};

} // namespace

TEST_CASE("completions are seen once, in order, pass after pass", "[direct][efa]")
{
    Plain plain;
    CHECK_FALSE(plain.cq.poll(plain.got));
    for (std::uint32_t i = 0; i < 100; ++i) {
        plain.write(i, Plain::sent(plain.post(1000 + i)));
        REQUIRE(plain.cq.poll(plain.got));
        CHECK(plain.got.id == 1000 + i);
        CHECK(plain.got.status == Status::ok);
        CHECK(plain.got.queue_pair == Plain::number);
        CHECK_FALSE(plain.cq.poll(plain.got)); // the entry of the pass before is no news
    }
}

TEST_CASE("a receive tells who sent what", "[direct][efa]")
{
    Plain plain;
    REQUIRE(plain.receive.add(55, {0x1000, 64, 7}) == Posted::ok);
    const auto device_id = static_cast<std::uint16_t>(plain.receive_ring[1]);
    plain.write(0, device_id | 2u << 25 | 1u << 27 | std::uint64_t{0x40} << 48,
                0x17u | 0xbeefu << 16 | std::uint64_t{0xcafe} << 32);
    REQUIRE(plain.cq.poll(plain.got));
    CHECK(plain.got.is_receive);
    CHECK(plain.got.id == 55);
    CHECK(plain.got.length == 0x40);
    CHECK(plain.got.peer == 0xbeef);
    CHECK(plain.got.has_immediate);
    CHECK(plain.got.immediate == 0xcafe);
    CHECK(plain.receive.room() == 4);
}

TEST_CASE("every status has its name", "[direct][efa]")
{
    Plain plain;
    for (std::uint32_t i = 0; i < 256; ++i) {
        plain.write(i, Plain::sent(plain.post(i)) | i << 16);
        REQUIRE(plain.cq.poll(plain.got));
        const bool known = i <= 15 || i == 18;
        CHECK((plain.got.status == Status::unknown) == !known);
        CHECK_FALSE(to_string(plain.got.status).empty());
    }
    CHECK(plain.send.room() == 4);
}

TEST_CASE("completions of a queue pair that is gone are skipped", "[direct][efa]")
{
    Plain plain;
    plain.write(0, Plain::sent(plain.post(1)));
    const auto second = plain.post(2);
    plain.cq.detach(Plain::number);
    CHECK_FALSE(plain.cq.poll(plain.got));
    CHECK(plain.cq.strays() == 1);

    // Another of the same number does not get them either: its ids are of another generation.
    EfaSendQueue next({plain.memory(plain.ring), &plain.doorbell, 4, 64, 0, 1});
    REQUIRE(next.add_send(3, {}, {}) == Posted::ok);
    REQUIRE(next.add_send(4, {}, {}) == Posted::ok);
    plain.cq.attach(Plain::number, &next, nullptr);
    plain.write(1, Plain::sent(second));
    CHECK_FALSE(plain.cq.poll(plain.got));
    CHECK(plain.cq.strays() == 2);
    CHECK(next.room() == 2);
}

TEST_CASE("many queue pairs share a completion queue", "[direct][efa]")
{
    Plain plain;
    std::vector<std::uint16_t> numbers{0, 1, 2, 3, 64, 128, 0x8001, 0xffff, 0x721};
    for (const auto number : numbers)
        plain.cq.attach(number, &plain.send, nullptr);
    CHECK_THROWS_AS(plain.cq.attach(0, &plain.send, nullptr), p2prdma::Error);
    CHECK_THROWS_AS(plain.cq.attach(Plain::number, &plain.send, nullptr), p2prdma::Error);
    std::uint32_t index = 0;
    for (const auto number : numbers) {
        plain.write(index, Plain::sent(plain.post(index)));
        plain.entries[index % 8 * 2] &= ~(std::uint64_t{0xffff} << 32);
        plain.entries[index % 8 * 2] |= std::uint64_t{number} << 32;
        REQUIRE(plain.cq.poll(plain.got));
        CHECK(plain.got.queue_pair == number);
        ++index;
    }
    for (const auto number : numbers)
        plain.cq.detach(number);
    plain.write(index, Plain::sent(plain.post(99)));
    CHECK(plain.cq.poll(plain.got)); // the first is still there
}

TEST_CASE("an adapter that writes nonsense is survived", "[direct][efa]")
{
    Plain plain;
    std::mt19937_64 random(1);
    REQUIRE(plain.receive.add(1, {}) == Posted::ok);
    for (int round = 0; round < 100000; ++round) {
        for (auto& word : plain.entries)
            word = random();
        if (round % 2) // also such as name the queue pair
            plain.entries[0] =
                (plain.entries[0] & 0xffff0000ff03ffff) | std::uint64_t{Plain::number} << 32;
        if (plain.send.room() > 0)
            REQUIRE(plain.send.add_send(1, {}, {}) == Posted::ok);
        for (int i = 0; i < 8; ++i)
            static_cast<void>(plain.cq.poll(plain.got));
        REQUIRE(plain.send.room() <= 4);
        REQUIRE(plain.receive.room() <= 4);
    }
}

TEST_CASE("completion queues that cannot be are refused", "[direct][efa]")
{
    std::array<std::uint64_t, 16> words{};
    const auto memory = device_memory(std::as_writable_bytes(std::span(words)));
    CHECK_NOTHROW(EfaCompletionQueue({memory, 8, 16}));
    CHECK_THROWS_AS(EfaCompletionQueue({memory, 8, 32}), p2prdma::Error);
    CHECK_THROWS_AS(EfaCompletionQueue({memory, 8, 24}), p2prdma::Error);
    CHECK_THROWS_AS(EfaCompletionQueue({memory, 7, 16}), p2prdma::Error);
    CHECK_THROWS_AS(EfaCompletionQueue({memory.subspan(1), 4, 16}), p2prdma::Error);
}
