// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A card that goes while its memory is allocated, mapped and being used. The scenario says how it
// goes: P2PRDMA_REMOVE is a shell command that makes it go; without it, the test says "ready" and
// waits until somebody else has done so.

#include "tests/guest/bus_error.hpp"
#include "tests/guest/uapi_card.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <thread>
#include <vector>

using namespace uapi;

namespace {

bool card_is_there()
{
    const auto node = std::filesystem::path(card_path()).filename();
    return std::filesystem::exists("/sys/class/p2prdma" / node);
}

void make_it_go()
{
    if (const char* command = std::getenv("P2PRDMA_REMOVE")) {
        REQUIRE(std::system(command) == 0);
    } else {
        std::cout << "ready" << std::endl;
    }
    for (int i = 0; i < 3000 && card_is_there(); i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE(!card_is_there());
}

int try_reach(const UniqueFd& card)
{
    p2prdma_query_reach reach = {};
    reach.size = sizeof(reach);
    return call(card, P2PRDMA_REACH, &reach);
}

/// Allocates, maps and writes until the card goes; counts what should not happen.
void use(const UniqueFd& card, std::atomic<bool>& stop, std::atomic<int>& rounds, int& last_error)
{
    while (!stop) {
        p2prdma_mem_alloc alloc = request(3 * MiB);
        last_error = call(card, P2PRDMA_MEM_ALLOC, &alloc);
        if (last_error != 0)
            continue;
        const UniqueFd memory(alloc.fd);
        const Map map(memory, 3 * MiB);
        if (map.error() != 0)
            continue;
        for (auto& word : map.words().subspan(0, 16))
            (void)bus_error(word);
        rounds++;
    }
}

} // namespace

TEST_CASE("a card goes while it is mapped and used: SIGBUS and ENODEV, and all can be closed")
{
    const BusErrorHandler handler;
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, MiB);
    const UniqueFd uncached = allocate(card, MiB, P2PRDMA_CACHE_UC);
    const Map map(memory, MiB), uncached_map(uncached, MiB), untouched(memory, MiB);
    REQUIRE(map.error() == 0);
    REQUIRE(!bus_error(map.words()[0]));
    REQUIRE(!bus_error(uncached_map.words()[0]));

    const auto ranges = bars();
    CHECK(write_combining(ranges) != 0);

    std::atomic<bool> stop = false;
    std::atomic<int> rounds = 0;
    int errors[3] = {};
    std::vector<std::jthread> users;
    for (int& error : errors)
        users.emplace_back([&] { use(card, stop, rounds, error); });
    while (rounds < 6)
        std::this_thread::yield();
    make_it_go();
    stop = true;
    users.clear();

    CHECK(write_combining(ranges) <= 0); // others may get these addresses
    for (const int error : errors)
        CHECK((error == ENODEV || error == 0)); // 0: it never tried again
    CHECK(bus_error(map.words()[0]));
    CHECK(bus_error(map.words().back()));
    CHECK(bus_error(uncached_map.words()[0]));
    CHECK(bus_error(untouched.words()[0]));
    p2prdma_get_info info = {};
    info.size = sizeof(info);
    CHECK(call(card, P2PRDMA_GET_INFO, &info) == ENODEV);
    CHECK(try_alloc(card, request(page)) == ENODEV);
    CHECK(try_reach(card) == ENODEV);
    CHECK(Map(memory, page).error() == ENODEV);
    CHECK(::open(card_path().c_str(), O_RDWR) == -1);
    CHECK(errno == ENOENT);
    CHECK(::lseek(memory.get(), 0, SEEK_END) == off_t(MiB)); // the descriptor is still one

    // What is still held does not disturb the card's next life.
    if (const char* command = std::getenv("P2PRDMA_RETURN")) {
        REQUIRE(std::system(command) == 0);
        const UniqueFd again = open_card();
        const p2prdma_get_info fresh = uapi::info(again);
        CHECK(fresh.mem_free == fresh.mem_size);
        const UniqueFd other = allocate(again, MiB, P2PRDMA_CACHE_UC);
        const Map other_map(other, MiB);
        REQUIRE(!bus_error(other_map.words()[0]));
        CHECK(other_map.words()[0] == 0);
        CHECK(bus_error(map.words()[0]));
        CHECK(call(card, P2PRDMA_GET_INFO, &info) == ENODEV);
    }
}
