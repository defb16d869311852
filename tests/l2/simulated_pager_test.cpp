// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/simulated_pager.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cerrno>
#include <vector>

using namespace p2prdma::l2;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t page = 4096;
constexpr auto reading = Pager::Need::reading;

struct Memory {
    explicit Memory(std::size_t pages) : bytes((pages + 1) * page) {}
    std::byte* at(std::size_t number)
    {
        const auto start = reinterpret_cast<std::uintptr_t>(bytes.data());
        return bytes.data() + ((page - start % page) % page) + number * page;
    }
    std::span<std::byte> pages(std::size_t first, std::size_t count)
    {
        return {at(first), count * page};
    }
    std::vector<std::byte> bytes;
};

std::vector<Pager::Resolved> taken(Pager& pager)
{
    std::array<Pager::Resolved, 16> out = {};
    const std::size_t count = pager.take(out);
    return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count)};
}

} // namespace

TEST_CASE("SimulatedPager: an absent page comes when its time is over")
{
    Memory memory(4);
    SimulatedPager pager({.shortest = 300us, .longest = 300us, .estimate_factor = 10});
    pager.track(memory.pages(0, 3));
    pager.set(memory.pages(0, 1), SimulatedPager::Page::present);
    CHECK(pager.present(memory.at(0) + 100, 2 * page, reading) == page - 100);
    CHECK(pager.resolve(7, memory.at(1), page, reading) == 3000);
    CHECK(pager.next() == 300us);
    pager.advance(299us);
    CHECK(taken(pager).empty());
    pager.advance(300us);
    const auto done = taken(pager);
    REQUIRE(done.size() == 1);
    CHECK(done[0].token == 7);
    CHECK(done[0].error == 0);
    CHECK(pager.present(memory.at(0), 4 * page, reading) == 2 * page);
    CHECK(pager.present(memory.at(3), page, reading) == page); // never tracked
    CHECK(pager.next() == Time::max());
}

TEST_CASE("SimulatedPager: what cannot be had ends with an error, what is forgotten with none")
{
    Memory memory(4);
    SimulatedPager pager({.fault_limit = 5s});
    pager.track(memory.pages(0, 4));
    pager.set(memory.pages(0, 1), SimulatedPager::Page::unmapped);
    pager.set(memory.pages(1, 1), SimulatedPager::Page::unanswered);
    for (std::uint64_t token = 0; token < 3; ++token)
        (void)pager.resolve(token, memory.at(token), page, reading);
    pager.forget(2);
    pager.advance(1s);
    auto done = taken(pager);
    REQUIRE(done.size() == 1);
    CHECK(done[0].error == EFAULT);
    pager.advance(5s);
    done = taken(pager);
    REQUIRE(done.size() == 1);
    CHECK(done[0].token == 1);
    CHECK(done[0].error == ETIMEDOUT);
    CHECK(pager.present(memory.at(2), page, reading) == page);
    CHECK(pager.counters().bad_tokens == 0);
}

TEST_CASE("SimulatedPager: copies that disregard absence are counted, unmapped pages end them")
{
    Memory memory(3);
    SimulatedPager pager({});
    pager.track(memory.pages(0, 3));
    pager.set(memory.pages(1, 1), SimulatedPager::Page::unmapped);
    const std::vector<std::byte> data(2 * page, std::byte{9});
    CHECK(pager.copy_in(memory.at(0) + 10, data) == page - 10);
    CHECK(pager.counters().absent_touched == 1);
    CHECK(memory.at(0)[page - 1] == std::byte{9});
    CHECK(memory.at(1)[0] == std::byte{0});
    std::array<std::byte, 100> out = {};
    CHECK(pager.copy_out(out, memory.at(0) + 50) == out.size());
    CHECK(out[99] == std::byte{9});
    CHECK(pager.counters().absent_touched == 1);
}

TEST_CASE("SimulatedPager: pages vanish at random, the same for a seed")
{
    Memory memory(8);
    std::array<std::uint64_t, 2> vanished = {};
    std::array<Time, 2> next = {};
    for (std::size_t run = 0; run < 2; ++run) {
        SimulatedPager pager({.seed = 5, .absent = 0, .vanish_interval = 10us});
        pager.track(memory.pages(0, 8));
        pager.advance(1ms);
        vanished[run] = pager.counters().vanished;
        next[run] = pager.next();
        CHECK(pager.present(memory.at(0), 8 * page, reading) < 8 * page);
    }
    CHECK(vanished[0] >= 7);
    CHECK(vanished[0] == vanished[1]);
    CHECK(next[0] == next[1]);
}
