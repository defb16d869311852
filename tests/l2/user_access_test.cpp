// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/user_access.hpp"

#include "lib/l2/copy_watch.hpp"
#include "tests/l2/paging.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <thread>

#include <sys/prctl.h>
#include <sys/wait.h>

using namespace p2prdma::l2;
using paging::Mapping;
using paging::page;

namespace {

/// Runs what is given on a thread with the signals blocked, so that the kernel copies.
template <typename Action>
void with_blocked_signals(Action action)
{
    std::thread([&] {
        sigset_t faults;
        sigemptyset(&faults);
        sigaddset(&faults, SIGSEGV);
        ::pthread_sigmask(SIG_BLOCK, &faults, nullptr);
        CHECK_FALSE(user_access::is_guarded());
        action();
    }).join();
}

void check_copies_end_at_holes()
{
    const Mapping memory(4);
    memory.touch(0, 4);
    memory.unmap(1, 1);
    ::mprotect(memory.at(3), page, PROT_READ);
    std::vector<std::byte> data(2 * page, std::byte{7});
    CHECK(user_access::copy_to(memory.at(0) + 10, data) == page - 10);
    CHECK(std::all_of(memory.at(0) + 10, memory.at(1),
                      [](std::byte b) { return b == std::byte{7}; }));
    CHECK(user_access::copy_to(memory.at(1), data) == 0);
    CHECK(user_access::copy_to(memory.at(2), data) == page);
    CHECK(user_access::copy_from(data, memory.at(2)) == 2 * page);
    CHECK(data[page] == std::byte{3});
    ::mprotect(memory.at(2), page, PROT_NONE);
    CHECK(user_access::copy_from(data, memory.at(2)) == 0);
    CHECK(user_access::copy_to(reinterpret_cast<void*>(64), data) == 0);
#ifndef __SANITIZE_ADDRESS__ // which knows better
    CHECK(user_access::copy_to(reinterpret_cast<void*>(0x8000000000000000), data) == 0);
    CHECK(user_access::copy_to(reinterpret_cast<void*>(0xffffffffff000000), data) == 0);
#endif
}

/// How a child that has `prepared` and then reads from nowhere ends.
template <typename Preparation>
int end_of_child(Preparation prepared)
{
    const pid_t child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_DUMPABLE, 0); // no core file of it
        prepared();
        volatile int* volatile nowhere = reinterpret_cast<volatile int*>(64);
        ::_exit(*nowhere);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

/// A thread sanitizer blocks signals its own way after a leap, and then the kernel copies.
void need_guard()
{
    user_access::prepare();
    if (!user_access::is_guarded())
        SKIP("the handler is not in use on this thread");
}

/// A thread sanitizer keeps a signal until the thread calls something that it knows: one that waits
/// for a page does not.
void need_watch()
{
#ifdef __SANITIZE_THREAD__
    SKIP("the signal that ends a copy does not come through");
#else
    need_guard();
#endif
}

/// Unmaps and maps it, not as a thread sanitizer sees: it takes the mapping for writing, which
/// races with the copies as it is meant to.
void renew(std::byte* start, std::size_t length)
{
    ::syscall(SYS_munmap, start, length);
    std::this_thread::yield();
    ::syscall(SYS_mmap, start, length, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    std::this_thread::yield();
}

void exit_42(int)
{
    ::_exit(42);
}

} // namespace

TEST_CASE("user_access: copies end where memory is not accessible, without a signal")
{
    user_access::prepare();
    REQUIRE(user_access::is_guarded());
    check_copies_end_at_holes();
    check_copies_end_at_holes();
}

TEST_CASE("user_access: where the signals are blocked, the kernel copies the same")
{
    user_access::prepare();
    with_blocked_signals(check_copies_end_at_holes);
}

TEST_CASE("user_access: a handler of somebody else's is noticed, and the kernel copies the same")
{
    user_access::prepare();
    struct sigaction other = {};
    struct sigaction ours = {};
    other.sa_handler = exit_42;
    ::sigaction(SIGSEGV, &other, &ours);
    CHECK_FALSE(user_access::is_guarded());
    check_copies_end_at_holes();
    user_access::prepare();
#ifndef __SANITIZE_THREAD__
    CHECK(user_access::is_guarded());
#endif
    ::sigaction(SIGSEGV, &ours, nullptr);
}

TEST_CASE("user_access: memory beyond the end of its file")
{
    user_access::prepare();
    const int fd = ::memfd_create("short", MFD_CLOEXEC);
    REQUIRE(::ftruncate(fd, static_cast<off_t>(page)) == 0);
    const Mapping memory(2, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    std::vector<std::byte> data(2 * page, std::byte{1});
    CHECK(user_access::copy_to(memory.at(0), data) == page);
    CHECK(user_access::copy_from(data, memory.at(1)) == 0);
    ::close(fd);
}

TEST_CASE("user_access: touching brings a page and changes nothing")
{
    need_guard();
    const Mapping memory(3);
    memory.touch(1, 1);
    using user_access::Touched;
    CHECK(user_access::touch(memory.at(0), 1, true) == Touched::all);
    CHECK(user_access::touch(memory.at(1) + 5, 1, true) == Touched::all);
    CHECK(*memory.at(1) == std::byte{1});
    ::mprotect(memory.at(2), page, PROT_READ);
    CHECK(user_access::touch(memory.at(0), 3 * page, false) == Touched::all);
    CHECK(user_access::touch(memory.at(0), 3 * page, true) == Touched::not_accessible);
    with_blocked_signals(
        [&] { CHECK(user_access::touch(memory.at(2), 1, false) == Touched::not_guarded); });
}

TEST_CASE("user_access: faults that are not its own reach whom they reached before")
{
    const int own = end_of_child([] {
        ::signal(SIGSEGV, exit_42);
        user_access::prepare();
    });
    CHECK(WIFEXITED(own));
    CHECK(WEXITSTATUS(own) == 42);
    const int none = end_of_child([] {
        ::signal(SIGSEGV, SIG_DFL);
        user_access::prepare();
    });
    CHECK(WIFSIGNALED(none));
    CHECK(WTERMSIG(none) == SIGSEGV);
}

TEST_CASE("user_access: memory that goes in the middle of copies")
{
    user_access::prepare();
    const Mapping memory(16);
    const std::vector<std::byte> data(16 * page, std::byte{5});
    std::size_t shortened = 0;
    std::jthread other([&](const std::stop_token& stop) {
        while (!stop.stop_requested())
            renew(memory.at(8), 8 * page);
    });
    for (int i = 0; i < 20000 || (shortened == 0 && i < 2000000); ++i) {
        const std::size_t copied = user_access::copy_to(memory.at(0), data);
        REQUIRE(copied >= 8 * page);
        shortened += copied < data.size();
    }
    CHECK(shortened > 0);
}

TEST_CASE("R7.7: a copy that waits for a userfaultfd ends soon, and others go on")
{
    const auto fd = paging::Userfault::open(paging::Userfault::Scope::all);
    if (!fd)
        SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
    need_watch();
    const Mapping memory(2);
    paging::Userfault owner(*fd, memory.span());
    std::vector<std::byte> data(page, std::byte{1});
    const auto begin = std::chrono::steady_clock::now();
    CHECK(user_access::copy_to(memory.at(0), data) == 0);
    CHECK(user_access::copy_from(data, memory.at(1)) == 0);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
    CHECK(user_access::is_guarded());
    owner.answer(memory.at(0), std::byte{4});
    CHECK(user_access::copy_from(data, memory.at(0)) == page);
    CHECK(data[0] == std::byte{4});
}

TEST_CASE("user_access: the watch wakes up again")
{
    const auto fd = paging::Userfault::open(paging::Userfault::Scope::all);
    if (!fd)
        SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
    need_watch();
    const Mapping memory(1);
    paging::Userfault owner(*fd, memory.span());
    REQUIRE(user_access::is_guarded()); // this thread is watched
    while (copy_watch::awake)           // it sleeps a second after the last copy
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::vector<std::byte> data(page);
    CHECK(user_access::copy_to(memory.at(0), data) == 0);
    CHECK(copy_watch::awake);
}

namespace {

void ignore_it(int) {}

/// On a thread of its own; whether it came back soon.
template <typename Action>
void check_soon(Action action)
{
    const auto begin = std::chrono::steady_clock::now();
    std::thread(action).join();
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

void block(int signal)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signal);
    ::pthread_sigmask(SIG_BLOCK, &one, nullptr);
}

} // namespace

TEST_CASE("R7.7: a copy ends soon whatever becomes of SIGURG, and also where the kernel copies")
{
    const auto fd = paging::Userfault::open(paging::Userfault::Scope::all);
    if (!fd)
        SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
    need_guard();
    const Mapping memory(8);
    const paging::Userfault owner(*fd, memory.span());
    std::vector<std::byte> data(page, std::byte{1});
    SECTION("it is blocked")
    {
        check_soon([&] {
            CHECK(user_access::is_guarded());
            block(SIGURG);
            CHECK(user_access::copy_to(memory.at(0), data) == 0);
        });
    }
    SECTION("another handler has it")
    {
        struct sigaction ours = {};
        check_soon([&] {
            CHECK(user_access::is_guarded());
            struct sigaction other = {};
            other.sa_handler = ignore_it;
            ::sigaction(SIGURG, &other, &ours);
            CHECK(user_access::copy_from(data, memory.at(1)) == 0);
        });
        ::sigaction(SIGURG, &ours, nullptr);
    }
    SECTION("the handlers that a copy needs are not in use")
    {
        check_soon([&] {
            with_blocked_signals([&] {
                CHECK(user_access::copy_to(memory.at(2), data) == 0);
                CHECK(user_access::copy_from(data, memory.at(3)) == 0);
            });
        });
    }
}

namespace {

sigjmp_buf way_out;
int left_so = 0;

void leave(int)
{
    ++left_so;
    siglongjmp(way_out, 1);
}

void fault_and_leave()
{
    volatile int* volatile nowhere = reinterpret_cast<volatile int*>(64);
    if (sigsetjmp(way_out, 1) == 0)
        (void)*nowhere;
}

} // namespace

TEST_CASE("user_access: a handler of somebody else's may leave by a leap, time and again")
{
    const int status = end_of_child([] {
        ::signal(SIGSEGV, SIG_DFL);
        user_access::prepare();
        ::signal(SIGSEGV, leave);
        user_access::prepare();
        for (int i = 0; i < 3; ++i)
            fault_and_leave();
        const auto deeper = [] {
            volatile char room[5000];
            room[0] = 0;
            fault_and_leave();
            return room[0];
        };
        ::_exit(deeper() + 39 + left_so - 1);
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 42);
}
