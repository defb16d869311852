// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/completion_watch.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <infiniband/verbs.h>

#include <span>
#include <vector>

using namespace p2prdma::daemon;

namespace {

constexpr std::uint64_t send_queue = 1;
constexpr std::uint64_t receive_queue = 2;
constexpr std::uint64_t of_write = 2;
constexpr std::uint16_t number = 77;

/// A completion queue and the adapter that writes into it.
struct Adapter {
    static constexpr std::uint32_t entries = 16;

    explicit Adapter(std::uint32_t size = 32) : entry_size(size), memory(entries * size / 8) {}

    CompletionWatch::Queue queue()
    {
        return {std::as_bytes(std::span(memory)), entries, entry_size};
    }
    void put(std::uint64_t of, std::uint64_t operation, std::uint64_t status = 0,
             std::uint16_t qp = number)
    {
        const std::uint64_t phase = written / entries % 2 == 0;
        memory[written % entries * entry_size / 8] =
            status << 16 | phase << 24 | of << 25 | operation << 28 | std::uint64_t{qp} << 32;
        written++;
    }
    void put_writes(unsigned count)
    {
        for (; count > 0; count--)
            put(send_queue, of_write);
    }

    std::uint32_t entry_size;
    std::vector<std::uint64_t> memory;
    std::uint64_t written = 0;
};

constexpr std::uint32_t writes = IBV_QP_ATTACH_COMP_CNTR_OP_RDMA_WRITE;

} // namespace

TEST_CASE("daemon: R6.8 a watch counts what its queue pair was asked to count")
{
    Adapter adapter(GENERATE(16u, 32u));
    CompletionWatch sent(adapter.queue(), number, writes);
    CompletionWatch received(adapter.queue(), number, IBV_QP_ATTACH_COMP_CNTR_OP_RECV);
    CompletionWatch all(adapter.queue(), number, 0x3f);
    adapter.put(send_queue, of_write);
    adapter.put(send_queue, of_write, 0, number + 1);
    adapter.put(send_queue, 0);
    adapter.put(send_queue, 1);
    adapter.put(receive_queue, 0);
    adapter.put(receive_queue, of_write);
    adapter.put(send_queue, of_write, 7); // failed
    CHECK(sent.look() == Count{1, 1});
    CHECK(received.look() == Count{2, 0});
    CHECK(all.look() == Count{5, 1});
    CHECK(all.look() == Count{5, 1});
}

TEST_CASE("daemon: a watch begins where the adapter is")
{
    const auto before = GENERATE(0u, 1u, 15u, 16u, 17u, 31u, 32u, 40u);
    Adapter adapter;
    adapter.put_writes(before);
    CompletionWatch watch(adapter.queue(), number, writes);
    CHECK(watch.look() == Count{0, 0});
    adapter.put_writes(1);
    CHECK(watch.look() == Count{1, 0});
}

TEST_CASE("daemon: a watch counts all if it looks once in a pass")
{
    const auto step = GENERATE(1u, 3u, 15u, 16u);
    Adapter adapter;
    CompletionWatch watch(adapter.queue(), number, writes);
    for (std::uint64_t round = 1; round <= 20; round++) {
        adapter.put_writes(step);
        CHECK(watch.look() == Count{round * step, 0});
    }
}

TEST_CASE("daemon: a watch that the adapter has passed by tells that there was something")
{
    const auto ahead = GENERATE(17u, 20u, 31u);
    Adapter adapter;
    adapter.put_writes(GENERATE(0u, 5u));
    CompletionWatch watch(adapter.queue(), number, writes);
    adapter.put_writes(ahead);
    CHECK(watch.look() == Count{0, 1});
    adapter.put_writes(3);
    CHECK(watch.look() == Count{3, 1}); // from here on it counts again
}

TEST_CASE("daemon: a watch of memory that has gone mad comes to an end")
{
    Adapter adapter;
    CompletionWatch watch(adapter.queue(), number, writes);
    for (std::uint64_t seed = 1; seed < 2000; seed++) {
        for (auto& word : adapter.memory)
            word = (word + seed) * 0x9e3779b97f4a7c15;
        watch.look();
    }
    SUCCEED();
}
