// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/page_map.hpp"

#include "tests/l2/paging.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sys/wait.h>

using namespace p2prdma::l2;
using namespace std::chrono_literals;
using paging::Mapping;
using paging::page;

TEST_CASE("PageMap: only what was touched is there")
{
    const Mapping memory(300);
    PageMap map;
    CHECK(map.present(memory.at(0), memory.size(), 0ms) == 0);
    memory.touch(0, 150); // more than one block is looked up at once
    CHECK(map.present(memory.at(0), memory.size(), 0ms) == 150 * page);
    CHECK(map.present(memory.at(0) + 5, memory.size() - 5, 0ms) == 150 * page - 5);
    CHECK(map.present(memory.at(149) + page - 1, 1, 0ms) == 1);
    CHECK(map.present(memory.at(149) + page - 1, 2, 0ms) == 1);
    CHECK(map.present(memory.at(150), 1, 0ms) == 0);
    memory.touch(151, 1);
    CHECK(map.present(memory.at(150), 2 * page, 0ms) == 0);
    CHECK(map.present(memory.at(151), 2 * page, 0ms) == page);
    CHECK(map.present(memory.at(3), 0, 0ms) == 0);
}

TEST_CASE("PageMap: presence is believed for its lifetime, absence never")
{
    const Mapping memory(4);
    PageMap map(1ms);
    memory.touch(0, 1);
    CHECK(map.present(memory.at(0), 2 * page, 10ms) == page);
    memory.touch(1, 1);
    CHECK(map.present(memory.at(0), 2 * page, 10ms) == 2 * page);
    ::madvise(memory.at(0), memory.size(), MADV_DONTNEED);
    CHECK(map.present(memory.at(0), 2 * page, 10999us) == 2 * page);
    CHECK(map.present(memory.at(0), 2 * page, 11ms) == 0);
}

TEST_CASE("R7.11: the page map makes at most five system calls for 1 MiB in frames of 1456 bytes")
{
    const Mapping memory(256);
    memory.touch(0, 256);
    PageMap map;
    for (std::size_t at = 0; at < memory.size(); at += 1456)
        REQUIRE(map.present(memory.at(0) + at, std::min<std::size_t>(1456, memory.size() - at),
                            0ms) != 0);
    CHECK(map.counters().lookups <= 5);
}

TEST_CASE("PageMap: what is not mapped is absent, and told apart")
{
    const Mapping memory(3);
    memory.touch(0, 3);
    memory.unmap(1, 1);
    PageMap map;
    CHECK(map.present(memory.at(0), memory.size(), 0ms) == page);
    CHECK(map.present(memory.at(1), page, 0ms) == 0);
    CHECK(PageMap::is_mapped(memory.at(0) + 1, page - 1));
    CHECK_FALSE(PageMap::is_mapped(memory.at(0) + 1, page));
    ::mprotect(memory.at(2), page, PROT_NONE);
    CHECK(PageMap::is_mapped(memory.at(2), page));
}

TEST_CASE("PageMap: addresses that nobody has are absent")
{
    PageMap map;
    for (const std::uintptr_t start :
         {std::uintptr_t{0}, std::uintptr_t{0x800000000000}, std::uintptr_t{0x8000000000000000},
          std::uintptr_t{0xffff800000000000}, UINTPTR_MAX - page, UINTPTR_MAX}) {
        auto* const address = reinterpret_cast<void*>(start);
        CHECK(map.present(address, SIZE_MAX, 0ms) == 0);
        CHECK(map.present(address, 1, 0ms) == 0);
        CHECK_FALSE(PageMap::is_mapped(address, SIZE_MAX));
    }
}

TEST_CASE("PageMap: pages that a write has to copy count as there")
{
    const Mapping memory(2);
    CHECK(*const_cast<volatile std::byte*>(memory.at(0)) == std::byte{0}); // the page of zeros
    memory.touch(1, 1);
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    PageMap map;
    CHECK(map.present(memory.at(0), memory.size(), 0ms) == memory.size());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
}
