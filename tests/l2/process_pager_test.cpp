// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/process_pager.hpp"

#include "tests/l2/paging.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <sys/wait.h>

using namespace p2prdma::l2;
using namespace std::chrono_literals;
using paging::Mapping;
using paging::page;
using paging::Userfault;
using paging::wait_for;

namespace {

constexpr auto reading = Pager::Need::reading;
constexpr auto writing = Pager::Need::writing;

/// The error with which bringing them ends.
int resolved(ProcessPager& pager, const std::byte* address, std::size_t length, Pager::Need need)
{
    const std::uint32_t estimate = pager.resolve(1, address, length, need);
    const auto ended = wait_for(pager, 1);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].token == 1);
    CHECK(estimate >= 1);
    return ended[0].error;
}

/// What the engine does with a frame: brings what is not there, and copies. The error, or 0.
int write_all(ProcessPager& pager, std::byte* to, std::span<const std::byte> data)
{
    for (int faults = 0; faults < 1000; ++faults) {
        const std::size_t there = pager.present(to, data.size(), writing);
        const std::size_t copied = pager.copy_in(to, data.first(there));
        to += copied;
        data = data.subspan(copied);
        if (data.empty())
            return 0;
        if (const int error = resolved(pager, to, data.size(), writing))
            return error;
    }
    return ELOOP;
}

std::vector<std::byte> pattern(std::size_t length)
{
    std::vector<std::byte> data(length);
    for (std::size_t i = 0; i < length; ++i)
        data[i] = static_cast<std::byte>(i * 7 + i / page);
    return data;
}

bool is_pattern(const Mapping& memory)
{
    return std::ranges::equal(memory.span(), pattern(memory.size()));
}

/// A file of pages of 9, unlinked.
int file_in(const char* directory, std::size_t pages)
{
    const int fd = ::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    const std::vector<std::byte> nines(pages * page, std::byte{9});
    if (fd < 0 || ::write(fd, nines.data(), nines.size()) != static_cast<ssize_t>(nines.size()))
        SKIP("no file in " << directory << ": " << std::strerror(errno));
    ::fsync(fd);
    return fd;
}

} // namespace

TEST_CASE("ProcessPager: fresh memory is absent, is brought, and takes data")
{
    ProcessPager pager({});
    const Mapping memory(32);
    CHECK(pager.present(memory.at(0), memory.size(), writing) == 0);
    CHECK(write_all(pager, memory.at(0), pattern(memory.size())) == 0);
    CHECK(is_pattern(memory));
    CHECK(pager.present(memory.at(0), memory.size(), reading) == memory.size());
    std::vector<std::byte> out(memory.size() - 100);
    CHECK(pager.copy_out(out, memory.at(0) + 50) == out.size());
    CHECK(std::ranges::equal(out, memory.span().subspan(50, out.size())));
}

TEST_CASE("ProcessPager: pages of files, in memory and on disk")
{
    ProcessPager pager({});
    for (const char* directory : {"/dev/shm", "/var/tmp"}) {
        DYNAMIC_SECTION(directory)
        {
            const int fd = file_in(directory, 8);
            const Mapping shared(8, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
            const Mapping own(8, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
            ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            CHECK(pager.present(own.at(0), own.size(), reading) == 0);
            CHECK(resolved(pager, own.at(2), page, reading) == 0);
            CHECK(pager.present(own.at(2), page, reading) == page);
            CHECK(*own.at(2) == std::byte{9});
            CHECK(write_all(pager, own.at(0), pattern(own.size())) == 0);
            CHECK(is_pattern(own));
            CHECK(*shared.at(1) == std::byte{9});
            CHECK(write_all(pager, shared.at(0), pattern(shared.size())) == 0);
            CHECK(is_pattern(shared));
            REQUIRE(::ftruncate(fd, static_cast<off_t>(4 * page)) == 0);
            CHECK(write_all(pager, shared.at(3), pattern(2 * page)) == EFAULT);
            ::close(fd);
        }
    }
}

TEST_CASE("ProcessPager: a userfaultfd that answers late")
{
    const auto fd = Userfault::open(Userfault::Scope::all);
    if (!fd)
        SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
    ProcessPager pager({});
    const Mapping memory(4);
    const Mapping other(1);
    Userfault owner(*fd, memory.span());
    (void)pager.resolve(1, memory.at(0), page, writing);
    std::byte* const where = owner.wait();
    REQUIRE(where == memory.at(0));
    // Meanwhile others are served.
    (void)pager.resolve(2, other.at(0), page, writing);
    auto ended = wait_for(pager, 1);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].token == 2);
    CHECK(pager.present(memory.at(0), page, writing) == 0);
    owner.answer(where, std::byte{8});
    ended = wait_for(pager, 1);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].error == 0);
    CHECK(pager.present(memory.at(0), page, writing) == page);
    CHECK(*memory.at(0) == std::byte{8});
}

TEST_CASE(
    "R7.7: a userfaultfd that never answers ends with ETIMEDOUT, and destroying does not hang")
{
    const auto fd = Userfault::open(Userfault::Scope::all);
    if (!fd)
        SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
    const Mapping memory(2);
    Userfault owner(*fd, memory.span());
    std::optional<ProcessPager> pager;
    // Long enough for a thread to begin also where the machine is busy.
    pager.emplace(ProcessPager::Config{.resolver = {.fault_limit = 500ms}});
    CHECK(resolved(*pager, memory.at(0), page, writing) == ETIMEDOUT);
    (void)pager->resolve(2, memory.at(1), page, writing);
    REQUIRE(owner.wait());
    REQUIRE(owner.wait());
    pager.reset();
    SUCCEED("it ended");
}

TEST_CASE("R7.8: pages that are thrown away between the pieces of a message come again")
{
    ProcessPager pager({});
    const Mapping memory(32);
    const auto data = pattern(memory.size());
    for (std::size_t i = 0; i < 32; ++i) {
        CHECK(write_all(pager, memory.at(i), std::span(data).subspan(i * page, page)) == 0);
        if (i % 4 == 3) // what was not written yet
            ::madvise(memory.at(0) + (i + 1) * page, memory.size() - (i + 1) * page, MADV_DONTNEED);
    }
    CHECK(is_pattern(memory));
}

TEST_CASE("R7.8: pages that are written to disk come again with what was in them")
{
    ProcessPager pager({});
    const int fd = file_in("/var/tmp", 16);
    const Mapping memory(16, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    CHECK(write_all(pager, memory.at(0), pattern(memory.size())) == 0);
    if (::madvise(memory.at(0), memory.size(), MADV_PAGEOUT) != 0)
        SKIP("MADV_PAGEOUT: " << std::strerror(errno));
    ::close(fd);
    std::vector<std::byte> out(memory.size());
    for (std::size_t at = 0; at < out.size();) {
        const std::span<std::byte> rest(out.data() + at, out.size() - at);
        const std::size_t there = pager.present(memory.at(0) + at, rest.size(), reading);
        at += pager.copy_out(rest.first(there), memory.at(0) + at);
        if (at < out.size())
            REQUIRE(resolved(pager, memory.at(0) + at, out.size() - at, reading) == 0);
    }
    CHECK(out == pattern(memory.size()));
}

TEST_CASE("R7.8: swapped memory comes again")
{
    std::string line;
    std::ifstream swaps("/proc/swaps");
    std::getline(swaps, line);
    if (!std::getline(swaps, line))
        SKIP("this machine has no swap");
    ProcessPager pager({});
    const Mapping memory(16);
    CHECK(write_all(pager, memory.at(0), pattern(memory.size())) == 0);
    ::madvise(memory.at(0), memory.size(), MADV_PAGEOUT);
    CHECK(resolved(pager, memory.at(0), memory.size(), writing) == 0);
    CHECK(is_pattern(memory));
}

TEST_CASE("R7.8: a fork in the middle leaves the child what it saw")
{
    ProcessPager pager({});
    const Mapping memory(4);
    memory.touch(0, 4);
    std::array<int, 2> ends = {};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        char ignored = 0;
        (void)!::read(ends[0], &ignored, 1);
        ::_exit(*memory.at(3) == std::byte{3} ? 0 : 1);
    }
    CHECK(write_all(pager, memory.at(0), pattern(memory.size())) == 0);
    CHECK(::write(ends[1], "", 1) == 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    CHECK(is_pattern(memory));
    for (const int end : ends)
        ::close(end);
}

TEST_CASE("R7.8: huge pages that are split while data come")
{
    ProcessPager pager({});
    constexpr std::size_t huge = 2 * 1024 * 1024;
    const Mapping memory(3 * huge / page);
    if (::madvise(memory.at(0), memory.size(), MADV_HUGEPAGE) != 0)
        SKIP("no transparent huge pages: " << std::strerror(errno));
    const auto data = pattern(memory.size());
    for (std::size_t at = 0; at < data.size(); at += huge / 4) {
        CHECK(write_all(pager, memory.at(0) + at, std::span(data).subspan(at, huge / 4)) == 0);
        ::mprotect(memory.at(0) + at, page, PROT_READ); // splits it
        ::mprotect(memory.at(0) + at, page, PROT_READ | PROT_WRITE);
    }
    CHECK(std::ranges::equal(memory.span(), data));
}

TEST_CASE("ProcessPager: pages of hugetlbfs")
{
    constexpr std::size_t huge = 2 * 1024 * 1024;
    std::optional<Mapping> memory;
    try {
        memory.emplace(huge / page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
    } catch (const std::runtime_error& error) {
        SKIP("no huge pages are reserved: " << error.what());
    }
    ProcessPager pager({});
    CHECK(pager.present(memory->at(0), huge, writing) == 0);
    CHECK(write_all(pager, memory->at(0), pattern(huge)) == 0);
    CHECK(is_pattern(*memory));
}

TEST_CASE("R7.7: memory that is not accessible so ends with EFAULT")
{
    ProcessPager pager({});
    const Mapping memory(8);
    memory.touch(0, 8);
    ::mprotect(memory.at(0), page, PROT_NONE);
    ::mprotect(memory.at(2), page, PROT_READ);
    memory.unmap(4, 1);
    const auto data = pattern(page);
    CHECK(write_all(pager, memory.at(0), data) == EFAULT);
    CHECK(write_all(pager, memory.at(1), data) == 0);
    CHECK(write_all(pager, memory.at(2), data) == EFAULT);
    CHECK(*memory.at(2) == std::byte{2});
    std::vector<std::byte> out(page);
    CHECK(pager.copy_out(out, memory.at(2)) == page);
    CHECK(write_all(pager, memory.at(3) + 100, data) == EFAULT);
    CHECK(*(memory.at(4) - 1) == data[page - 101]);
}

TEST_CASE("R7.7: memory that is unmapped while data come ends with EFAULT, never with a signal")
{
    ProcessPager pager({});
    const auto data = pattern(256 * page);
    for (int round = 0; round < 50; ++round) {
        const Mapping memory(256);
        std::jthread other([&] {
            std::this_thread::sleep_for(std::chrono::microseconds(round * 10));
            memory.unmap(128, 128);
        });
        int error = 0;
        while (error == 0)
            error = write_all(pager, memory.at(0), data);
        CHECK(error == EFAULT);
    }
}

TEST_CASE("ProcessPager: a range that grows and shrinks")
{
    ProcessPager pager({.resolver = {}, .page_map_lifetime = 0ms});
    const Mapping memory(16);
    memory.unmap(4, 12);
    const auto data = pattern(8 * page);
    CHECK(write_all(pager, memory.at(0), data) == EFAULT);
    REQUIRE(::mmap(memory.at(4), 4 * page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    CHECK(write_all(pager, memory.at(0), data) == 0);
    memory.unmap(2, 1);
    CHECK(pager.present(memory.at(0), 8 * page, writing) == 2 * page);
    CHECK(write_all(pager, memory.at(0), data) == EFAULT);
}

TEST_CASE("ProcessPager: the stack, the heap and constants")
{
    ProcessPager pager({});
    std::array<std::byte, 3000> stack = {};
    std::vector<std::byte> heap(3000);
    const auto data = pattern(3000);
    CHECK(write_all(pager, stack.data(), data) == 0);
    CHECK(write_all(pager, heap.data(), data) == 0);
    CHECK(std::ranges::equal(stack, heap));
    static const std::array<std::byte, 100> constant = {std::byte{1}};
    CHECK(write_all(pager, const_cast<std::byte*>(constant.data()), std::span(data).first(100)) ==
          EFAULT);
    CHECK(pager.copy_out(std::span(heap).first(100), constant.data()) == 100);
    CHECK(heap[0] == std::byte{1});
}

TEST_CASE("R7.11: prefetched pages are there when they are needed")
{
    ProcessPager pager({.resolver = {}, .page_map_lifetime = 0ms});
    const Mapping memory(64);
    pager.prefetch(memory.at(0), memory.size(), writing);
    CHECK(resolved(pager, memory.at(0), page, writing) == 0);
    for (int i = 0; i < 5000 && pager.counters().resolved < 2; ++i)
        std::this_thread::sleep_for(1ms);
    CHECK(pager.present(memory.at(0), memory.size(), writing) == memory.size());
}
