// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Card memory in processes: what it holds, who may map it, and who frees it.

#include "tests/guest/uapi_card.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <linux/dma-buf.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

using namespace uapi;

namespace {

bool all_equal(std::span<volatile std::uint64_t> words, std::uint64_t value)
{
    return std::all_of(words.begin(), words.end(), [=](auto word) { return word == value; });
}

void send_fd(int socket, int fd)
{
    char byte = 0;
    iovec data = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    ::sendmsg(socket, &message, 0);
}

UniqueFd receive_fd(int socket)
{
    char byte = 0;
    iovec data = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    int fd = -1;
    const bool received = ::recvmsg(socket, &message, 0) == 1;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); received && header)
        std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return UniqueFd(fd);
}

struct Pipe {
    Pipe()
    {
        int ends[2];
        if (::pipe(ends) != 0)
            throw std::system_error(errno, std::generic_category(), "pipe");
        read.reset(ends[0]);
        write.reset(ends[1]);
    }
    UniqueFd read, write;
};

/// Waits until the kernel has finished with what a killed process left behind.
bool becomes_free(const UniqueFd& card, std::uint64_t bytes)
{
    for (int i = 0; i < 500; i++) {
        if (mem_free(card) == bytes)
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

} // namespace

TEST_CASE("memory reads zero, keeps what is written, and is zero again for the next owner")
{
    const UniqueFd card = open_card();
    const auto cache = GENERATE(P2PRDMA_CACHE_WC, P2PRDMA_CACHE_UC);
    const std::size_t length = 3 * MiB + page;
    {
        const UniqueFd memory = allocate(card, length, cache);
        const Map map(memory, length);
        REQUIRE(map.error() == 0);
        const auto words = map.words();
        CHECK(all_equal(words, 0));
        for (std::size_t i = 0; i < words.size(); i++)
            words[i] = i * 0x9e3779b97f4a7c15;
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < words.size(); i++)
            wrong += words[i] != i * 0x9e3779b97f4a7c15;
        CHECK(wrong == 0);
    }
    // First fit: the same pages again.
    const UniqueFd memory = allocate(card, length, cache);
    const Map map(memory, length);
    REQUIRE(map.error() == 0);
    CHECK(all_equal(map.words(), 0));
}

TEST_CASE("the platform knows what is write-combining, as long as it is allocated")
{
    const UniqueFd card = open_card();
    const auto ranges = bars();
    const auto before = write_combining(ranges);
    if (before < 0)
        SKIP("no debugfs, or not an x86");
    {
        const UniqueFd combining = allocate(card, 3 * page, P2PRDMA_CACHE_WC);
        CHECK(write_combining(ranges) == before + std::int64_t(3 * page));
        const UniqueFd uncached = allocate(card, 5 * page, P2PRDMA_CACHE_UC);
        CHECK(write_combining(ranges) == before + std::int64_t(3 * page));
    }
    CHECK(write_combining(ranges) == before);
}

TEST_CASE("two mappings of one memory show the same bytes, at any offset")
{
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, 4 * page);
    const Map whole(memory, 4 * page);
    const Map third(memory, page, MAP_SHARED, 2 * page);
    REQUIRE(whole.error() == 0);
    REQUIRE(third.error() == 0);
    whole.words()[2 * page / 8 + 5] = 0x1234567890abcdef;
    CHECK(third.words()[5] == 0x1234567890abcdef);
}

TEST_CASE("accesses of 1 to 8 bytes at any alignment arrive")
{
    const UniqueFd card = open_card();
    const auto cache = GENERATE(P2PRDMA_CACHE_WC, P2PRDMA_CACHE_UC);
    const UniqueFd memory = allocate(card, 2 * page, cache);
    const Map map(memory, 2 * page);
    REQUIRE(map.error() == 0);
    auto* bytes = static_cast<volatile std::uint8_t*>(map.address());
    bytes[page - 1] = 0xa5; // the last of a page, the first of the next
    bytes[page] = 0x5a;
    CHECK(bytes[page - 1] == 0xa5);
    CHECK(bytes[page] == 0x5a);
    *reinterpret_cast<volatile std::uint16_t*>(bytes + 2) = 0xbeef;
    CHECK(bytes[2] == 0xef);
    CHECK(bytes[3] == 0xbe);
    *reinterpret_cast<volatile std::uint32_t*>(bytes + 8) = 0x01020304;
    CHECK(map.words()[1] == 0x01020304);
}

TEST_CASE("mmap: private, beyond the end, empty, offsets out of range")
{
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, 2 * page);
    CHECK(Map(memory, page, MAP_PRIVATE).error() == EINVAL);
    CHECK(Map(memory, 3 * page).error() == EINVAL);
    CHECK(Map(memory, page, MAP_SHARED, 2 * page).error() == EINVAL);
    CHECK(Map(memory, 2 * page, MAP_SHARED, page).error() == EINVAL);
    CHECK(Map(memory, page, MAP_SHARED, 1).error() == EINVAL);
    CHECK(Map(memory, 0).error() == EINVAL);
    CHECK(Map(memory, page, MAP_SHARED, off_t(1) << 62).error() != 0);
    CHECK(Map(memory, page, MAP_SHARED, page).error() == 0);
    CHECK(Map(card, page).error() == ENODEV); // the card itself has no memory to map
}

TEST_CASE("a mapping cannot grow")
{
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, 2 * page);
    const Map map(memory, page);
    REQUIRE(map.error() == 0);
    CHECK(::mremap(map.address(), page, 2 * page, MREMAP_MAYMOVE) == MAP_FAILED);
}

TEST_CASE("a store into a read-only mapping is SIGSEGV")
{
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, page);
    const Map map(memory, page, MAP_SHARED, 0, PROT_READ);
    REQUIRE(map.error() == 0);
    CHECK(map.words()[0] == 0);
    const int status = in_child([&] {
        const rlimit none = {0, 0};
        ::setrlimit(RLIMIT_CORE, &none);
        const Map mine(memory, page, MAP_SHARED, 0, PROT_READ);
        mine.words()[0] = 1;
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSEGV);
    CHECK(map.words()[0] == 0);
}

TEST_CASE("fork: the mapping does not pass to the child, the descriptor does")
{
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, page);
    const Map map(memory, page);
    REQUIRE(map.error() == 0);
    map.words()[0] = 1;
    const int status = in_child([&] { map.words()[0] = 2; });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSEGV);
    CHECK(map.words()[0] == 1);
    CHECK(in_child([&] { Map(memory, page).words()[0] = 3; }) == 0);
    CHECK(map.words()[0] == 3);
}

TEST_CASE("card memory is no buffer for other system calls")
{
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, page);
    const Map map(memory, page);
    REQUIRE(map.error() == 0);
    map.words()[0] = 0x0a21216b63617240;
    const Pipe pipe;
    // Copied by the CPU: works. Pinned: cannot, as there is no page behind it.
    CHECK(::write(pipe.write.get(), map.address(), 8) == 8);
    iovec piece = {map.address(), page};
    CHECK(::vmsplice(pipe.write.get(), &piece, 1, 0) == -1);
    CHECK(::mlock(map.address(), page) == 0); // nothing to lock, and no harm
}

TEST_CASE("a passed descriptor works in the other process and outlives the first")
{
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const UniqueFd here(ends[0]), there(ends[1]);
    CHECK(in_child([&] {
              const UniqueFd own_card = open_card();
              const UniqueFd memory = allocate(own_card, page);
              Map(memory, page).words()[7] = 42;
              send_fd(there.get(), memory.get());
          }) == 0);
    {
        const UniqueFd memory = receive_fd(here.get());
        const Map map(memory, page);
        REQUIRE(map.error() == 0);
        CHECK(map.words()[7] == 42);
        CHECK(mem_free(card) == before - page);
    }
    CHECK(becomes_free(card, before));
}

TEST_CASE("a mapping alone keeps the memory; so does the descriptor when the card's is closed")
{
    UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    {
        UniqueFd memory = allocate(card, page);
        const Map map(memory, page);
        memory.reset();
        card.reset();
        REQUIRE(map.error() == 0);
        map.words()[0] = 99;
        CHECK(map.words()[0] == 99);
        card = open_card();
        CHECK(mem_free(card) == before - page);
    }
    CHECK(becomes_free(card, before));
}

TEST_CASE("kill -9 frees everything")
{
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    const Pipe pipe;
    const pid_t child = ::fork();
    if (child == 0) {
        const UniqueFd first = allocate(card, MiB);
        const UniqueFd second = allocate(card, MiB, P2PRDMA_CACHE_UC);
        const Map map(first, MiB);
        map.words()[0] = 1;
        (void)!::write(pipe.write.get(), "x", 1);
        for (;;)
            ::pause();
    }
    char byte = 0;
    REQUIRE(::read(pipe.read.get(), &byte, 1) == 1);
    CHECK(mem_free(card) == before - 2 * MiB);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(becomes_free(card, before));
}

TEST_CASE("the dma-buf's own ioctls work")
{
    const UniqueFd card = open_card();
    const UniqueFd memory = allocate(card, page);
    dma_buf_sync sync = {DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW};
    CHECK(::ioctl(memory.get(), DMA_BUF_IOCTL_SYNC, &sync) == 0);
    sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
    CHECK(::ioctl(memory.get(), DMA_BUF_IOCTL_SYNC, &sync) == 0);
    CHECK(call(memory, P2PRDMA_GET_INFO, &sync) == ENOTTY);
}

TEST_CASE("many threads allocate, map, touch and free")
{
    const UniqueFd card = open_card();
    const std::uint64_t before = mem_free(card);
    std::atomic<int> wrong = 0;
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            for (unsigned round = 0; round < 50; round++) {
                const std::size_t length = (1 + (round * 7 + t) % 16) * page;
                const UniqueFd memory = allocate(card, length, round % 2);
                const Map map(memory, length);
                const auto words = map.words();
                wrong += words.front() != 0 || words.back() != 0;
                words.front() = t + 1;
                words.back() = t + 1;
                wrong += words.front() != t + 1 || words.back() != t + 1;
            }
        });
    threads.clear();
    CHECK(wrong == 0);
    CHECK(becomes_free(card, before));
}
