// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/resolver.hpp"

#include "lib/l2/bring_pages.hpp"
#include "lib/l2/fault_estimate.hpp"
#include "lib/l2/page_map.hpp"
#include "lib/l2/user_access.hpp"
#include "tests/l2/paging.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <thread>

using namespace p2prdma::l2;
using namespace std::chrono_literals;
using paging::Mapping;
using paging::page;
using paging::Userfault;
using paging::wait_for;

namespace {

constexpr auto reading = Pager::Need::reading;
constexpr auto writing = Pager::Need::writing;

std::size_t present(const Mapping& memory)
{
    return PageMap().present(memory.at(0), memory.size(), 0ms);
}

int open_userfault(Userfault::Scope scope)
{
    const auto fd = Userfault::open(scope);
    if (!fd)
        SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
    return *fd;
}

} // namespace

TEST_CASE("bring_pages: brings what can be had, and says why not what cannot")
{
    user_access::prepare();
    const Mapping memory(8);
    CHECK(bring_pages(memory.at(0) + 5, 2 * page, writing) == 0);
    CHECK(present(memory) == 3 * page);
    memory.unmap(4, 1);
    CHECK(bring_pages(memory.at(3), 2 * page, reading) == EFAULT);
    ::mprotect(memory.at(5), page, PROT_READ);
    CHECK(bring_pages(memory.at(5), page, reading) == 0);
    CHECK(bring_pages(memory.at(5), page, writing) == EFAULT);
    ::mprotect(memory.at(5), page, PROT_NONE);
    CHECK(bring_pages(memory.at(5), page, reading) == EFAULT);
    CHECK(bring_pages(nullptr, 1, reading) == EFAULT);
    CHECK(bring_pages(memory.at(0), SIZE_MAX, reading) == EFAULT);
    CHECK(bring_pages(reinterpret_cast<void*>(0xffff800000000000), page, writing) == EFAULT);
    CHECK(bring_pages(memory.at(6), 0, reading) == 0);
}

TEST_CASE("bring_pages: beyond the end of a file there is nothing")
{
    user_access::prepare();
    const int fd = ::memfd_create("short", MFD_CLOEXEC);
    REQUIRE(::ftruncate(fd, static_cast<off_t>(page)) == 0);
    const Mapping memory(2, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    CHECK(bring_pages(memory.at(0), page, writing) == 0);
    CHECK(bring_pages(memory.at(0), 2 * page, writing) == EFAULT);
    ::close(fd);
}

TEST_CASE("bring_pages: a userfaultfd for user mode only is asked too")
{
    user_access::prepare();
    const Mapping memory(1);
    Userfault owner(open_userfault(Userfault::Scope::user_mode), memory.span());
    std::jthread answering([&] {
        if (std::byte* const where = owner.wait())
            owner.answer(where, std::byte{3});
    });
    CHECK(bring_pages(memory.at(0), page, writing) == 0);
    CHECK(*memory.at(0) == std::byte{3});
}

TEST_CASE("Resolver: each request ends once, with its token")
{
    const Mapping memory(64);
    Resolver resolver({});
    for (std::size_t i = 0; i < 64; ++i)
        CHECK(resolver.resolve(1000 + i, memory.at(i), page, writing) >= 1);
    auto ended = wait_for(resolver, 64);
    REQUIRE(ended.size() == 64);
    std::sort(ended.begin(), ended.end(), [](auto& a, auto& b) { return a.token < b.token; });
    for (std::size_t i = 0; i < 64; ++i) {
        CHECK(ended[i].token == 1000 + i);
        CHECK(ended[i].error == 0);
    }
    CHECK(present(memory) == memory.size());
    CHECK(wait_for(resolver, 1, 0).empty()); // and the descriptor is not readable
    CHECK(resolver.counters().resolved == 64);
    memory.unmap(0, 1);
    (void)resolver.resolve(1, memory.at(0), page, reading);
    ended = wait_for(resolver, 1);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].error == EFAULT);
}

TEST_CASE("Resolver: what waits for ever ends within the limit, and hinders nobody")
{
    const Mapping lost(8);
    const Mapping memory(8);
    std::optional<Userfault> owner;
    owner.emplace(open_userfault(Userfault::Scope::all), lost.span());
    const auto begin = std::chrono::steady_clock::now();
    std::optional<Resolver> resolver;
    resolver.emplace(Resolver::Config{.threads = 2, .max_threads = 16, .fault_limit = 2s});
    for (std::size_t i = 0; i < 8; ++i)
        (void)resolver->resolve(i, lost.at(i), page, writing);
    (void)resolver->resolve(100, memory.at(0), page, writing);
    auto ended = wait_for(*resolver, 1);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].token == 100);
    CHECK(ended[0].error == 0);
    CHECK(std::chrono::steady_clock::now() - begin < 2s);
    CHECK(resolver->counters().threads >= 9);
    ended = wait_for(*resolver, 8);
    REQUIRE(ended.size() == 8);
    for (const auto& one : ended)
        CHECK(one.error == ETIMEDOUT);
    CHECK(std::chrono::steady_clock::now() - begin >= 2s);
    resolver.reset(); // does not wait for those that are stuck
    CHECK(std::chrono::steady_clock::now() - begin < 20s);
}

TEST_CASE("Resolver: with all threads stuck each request ends, and then they are free again")
{
    const Mapping lost(4);
    const Mapping memory(4);
    const Userfault owner(open_userfault(Userfault::Scope::all), lost.span());
    Resolver resolver({.threads = 1, .max_threads = 2, .fault_limit = 100ms});
    for (std::size_t i = 0; i < 4; ++i)
        (void)resolver.resolve(i, lost.at(i), page, writing);
    (void)resolver.resolve(4, memory.at(0), page, writing);
    const auto ended = wait_for(resolver, 5);
    REQUIRE(ended.size() == 5);
    for (const auto& one : ended)
        CHECK(one.error == ETIMEDOUT);
    (void)resolver.resolve(5, memory.at(1), page, writing);
    const auto last = wait_for(resolver, 1);
    REQUIRE(last.size() == 1);
    CHECK(last[0].token == 5);
    CHECK(last[0].error == 0);
}

TEST_CASE("Resolver: pages that never come neither occupy threads for ever nor pile up")
{
    const Mapping lost(16);
    const Mapping memory(4);
    const Userfault owner(open_userfault(Userfault::Scope::all), lost.span());
    Resolver resolver({.max_threads = 4, .fault_limit = 20ms});
    std::uint64_t token = 0;
    for (int round = 0; round < 10; ++round) {
        for (std::size_t i = 0; i < 16; ++i)
            (void)resolver.resolve(++token, lost.at(i), page, writing);
        for (std::size_t i = 0; i < 500; ++i) {
            (void)resolver.resolve(++token, memory.at(0), page, writing);
            resolver.forget(token);
        }
        CHECK(wait_for(resolver, 16).size() == 16);
    }
    CHECK(resolver.counters().waiting < 1000);
    CHECK(resolver.counters().threads <= 4);
    // A busy machine needs some tries within so short a limit.
    int error = ETIMEDOUT;
    for (int tries = 0; error != 0 && tries < 100; ++tries) {
        (void)resolver.resolve(++token, memory.at(1), page, writing);
        const auto last = wait_for(resolver, 1);
        REQUIRE(last.size() == 1);
        error = last[0].error;
    }
    CHECK(error == 0);
}

TEST_CASE("Resolver: what was forgotten does not end")
{
    const Mapping lost(1);
    Userfault owner(open_userfault(Userfault::Scope::all), lost.span());
    const Mapping memory(2);
    Resolver resolver({.threads = 2});
    (void)resolver.resolve(1, lost.at(0), page, writing);
    (void)resolver.resolve(2, memory.at(0), page, writing);
    pollfd readable = {resolver.fd(), POLLIN, 0};
    REQUIRE(::poll(&readable, 1, 5000) == 1);
    std::byte* const where = owner.wait();
    REQUIRE(where);
    resolver.forget(1); // being brought
    resolver.forget(2); // ended, and not taken
    resolver.forget(3); // never there
    CHECK(::poll(&readable, 1, 0) == 0);
    owner.answer(where, std::byte{1});
    (void)resolver.resolve(1, memory.at(1), page, writing); // the token is free again
    const auto ended = wait_for(resolver, 2, 200);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].token == 1);
    CHECK(resolver.counters().resolved == 2);
}

TEST_CASE("Resolver: prefetches tell nobody, and are dropped beyond a bound")
{
    const Mapping lost(1);
    const Mapping memory(2);
    Userfault owner(open_userfault(Userfault::Scope::all), lost.span());
    Resolver resolver({.threads = 1, .max_threads = 1, .max_prefetches = 4});
    for (int i = 0; i < 10; ++i)
        resolver.prefetch(lost.at(0), page, writing);
    CHECK(resolver.counters().prefetches_dropped == 6);
    (void)resolver.resolve(1, memory.at(0), page, writing);
    std::byte* const where = owner.wait();
    REQUIRE(where);
    owner.answer(where, std::byte{1});
    const auto ended = wait_for(resolver, 1);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].token == 1);
}

TEST_CASE("Resolver: what is needed next is brought behind what was asked for")
{
    const Mapping memory(128);
    Resolver resolver({});
    (void)resolver.resolve(1, memory.at(0), page, writing, 99 * page);
    REQUIRE(wait_for(resolver, 1).size() == 1);
    const auto until = std::chrono::steady_clock::now() + 10s;
    // It stops early where the machine is slow; then another goes on.
    while (present(memory) < 100 * page && std::chrono::steady_clock::now() < until) {
        const std::size_t there = present(memory);
        (void)resolver.resolve(2, memory.at(0) + there, page, writing, 99 * page - there);
        REQUIRE(wait_for(resolver, 1).size() == 1);
    }
    CHECK(present(memory) == 100 * page);
}

TEST_CASE("Resolver: 10000 requests at once")
{
    const Mapping memory(100);
    Resolver resolver({});
    for (std::uint64_t i = 0; i < 10000; ++i)
        (void)resolver.resolve(i, memory.at(i % 100), page, writing);
    auto ended = wait_for(resolver, 10000);
    REQUIRE(ended.size() == 10000);
    std::vector<bool> seen(10000);
    for (const auto& one : ended)
        seen[one.token] = one.error == 0;
    CHECK(std::count(seen.begin(), seen.end(), true) == 10000);
}

TEST_CASE("FaultEstimate: follows what it sees nearby")
{
    FaultEstimate estimate;
    auto* const here = reinterpret_cast<void*>(0x10000000);
    auto* const there = reinterpret_cast<void*>(0x7000000000);
    CHECK(estimate.microseconds(here) == 100);
    for (int i = 0; i < 100; ++i) {
        estimate.observed(here, 10us);
        estimate.observed(there, 20ms);
    }
    CHECK(estimate.microseconds(here) >= 10);
    CHECK(estimate.microseconds(here) <= 12);
    CHECK(estimate.microseconds(there) >= 20000);
    CHECK(estimate.microseconds(there) <= 22000);
    // Of somewhere unknown, what is known of all: between the two.
    const auto unknown = estimate.microseconds(reinterpret_cast<void*>(0x500000000));
    CHECK(unknown > 100);
    for (int i = 0; i < 1000; ++i)
        estimate.observed(here, Time::max() / 4);
    CHECK(estimate.microseconds(here) == 1'000'000'000);
}
