// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The card in its own machine: calls, grants, doorbells, and hosts that end or lie. The scenario
// runs tests/guest/control_peer in the host's machine.

#include "tests/guest/bus_error.hpp"
#include "tests/guest/fail_nth.hpp"
#include "tests/guest/local_client.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace local;
using p2prdma::Errc;
using p2prdma::UniqueFd;
using State = p2prdma::LocalCardInfo::State;

namespace {

p2prdma_local_call raw_call(std::string_view text)
{
    p2prdma_local_call call = {};
    call.size = sizeof(call);
    call.op = op_text;
    call.timeout_ms = 20000;
    call.request = reinterpret_cast<std::uintptr_t>(text.data());
    call.request_length = static_cast<std::uint32_t>(text.size());
    return call;
}

std::uint64_t read_sysfs(const std::string& name)
{
    std::uint64_t value = 0;
    std::ifstream("/sys/class/p2prdma_local/local0/" + name) >> value;
    return value;
}

UniqueFd make_eventfd()
{
    return UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

bool take(const UniqueFd& eventfd, std::chrono::milliseconds limit)
{
    pollfd entry = {eventfd.get(), POLLIN, 0};
    std::uint64_t count = 0;
    return ::poll(&entry, 1, static_cast<int>(limit.count())) == 1 &&
           ::read(eventfd.get(), &count, sizeof(count)) == sizeof(count);
}

/// Memory types that the kernel has reserved inside the card's BARs: "write-combining 0x..-0x..".
std::string memory_types(std::uint64_t offset)
{
    std::ifstream resources("/sys/class/p2prdma_local/local0/device/resource");
    std::string line;
    for (int i = 0; i < 3; i++)
        std::getline(resources, line);
    std::ostringstream start;
    start << "0x" << std::hex << std::stoull(line, nullptr, 16) + offset;
    std::ifstream list("/sys/kernel/debug/x86/pat_memtype_list");
    while (std::getline(list, line))
        if (line.find(start.str()) != line.npos || line.find(start.str().substr(2)) != line.npos)
            return line;
    return {};
}

/// Maps page 0 and touches it, so that its memory type is known.
GrantMapping touched(Client& client, std::uint32_t grant)
{
    auto mapping = client.card().map(grant, page);
    word(mapping) = 1;
    return mapping;
}

} // namespace

TEST_CASE("a card alone says so", "[alone]")
{
    Client client;
    CHECK(client.info().state == State::alone);
    CHECK(client.info().epoch == 0);
    CHECK(client.info().client == 0);
    CHECK(client.info().pool_size == 64 << 20);
    CHECK(client.info().windows == 32);
    CHECK(client.info().doorbells == 32);
    CHECK(code_of([&] { client.ask("echo"); }) == Errc::host_not_serving);
    CHECK(client.map_code(1, page) == Errc::bad_argument);
    CHECK(code_of([&] { client.card().bind_event(1, 0); }) == Errc::bad_argument);
    CHECK(client.card().alive());
}

TEST_CASE("a daemon of another version is foreign", "[foreign]")
{
    Client client;
    CHECK(client.info().state == State::foreign);
    CHECK(code_of([&] { client.ask("echo"); }) == Errc::host_mismatch);
    CHECK(client.info().client == 0);
    CHECK(client.card().alive());
}

TEST_CASE("a call is answered", "[served]")
{
    Client client;
    CHECK(client.info().state == State::served);
    CHECK(client.info().client == 0);
    CHECK(client.ask("echo good day") == "good day");
    CHECK(client.info().client != 0);
    CHECK(client.info().epoch != 0);

    SECTION("also with a refusal")
    {
        std::string text;
        const auto reply = client.try_ask("status 28", text);
        CHECK(reply.status == ENOSPC);
        CHECK(text.empty());
    }
    SECTION("and cut to what fits")
    {
        std::array<std::byte, 4> small{};
        const std::string_view text = "echo 0123456789";
        const auto reply = client.card().call(op_text, std::as_bytes(std::span(text)), small, 20s);
        CHECK(reply.length == 10);
        CHECK(small[3] == std::byte{'3'});
    }
    SECTION("without taking what others are to get")
    {
        Client other;
        std::string late, soon;
        std::thread waits([&] { late = client.ask("echo a;late 300"); });
        soon = other.ask("echo b");
        waits.join();
        CHECK(late == "a");
        CHECK(soon == "b");
    }
}

TEST_CASE("what is out of range is refused", "[served]")
{
    Client client;
    const auto with = [&](auto change) {
        auto call = raw_call("echo");
        change(call);
        return client.raw(P2PRDMA_LOCAL_CALL, &call);
    };
    CHECK(with([](auto& call) { call.op = 0; }) == EINVAL);
    CHECK(with([](auto& call) { call.op = 2; }) == EINVAL);
    CHECK(with([](auto& call) { call.op = 0x10000; }) == EINVAL);
    CHECK(with([](auto& call) { call.timeout_ms = 0; }) == EINVAL);
    CHECK(with([](auto& call) { call.timeout_ms = 60001; }) == EINVAL);
    CHECK(with([](auto& call) { call.request_length = 225; }) == EINVAL);
    CHECK(with([](auto& call) { call.request = 8; }) == EFAULT);
    CHECK(with([](auto& call) { call.flags = 1; }) == EOPNOTSUPP);
    CHECK(with([](auto& call) { call.__reserved = 1; }) == EOPNOTSUPP);
    CHECK(with([](auto& call) { call.size = 8; }) == EINVAL);
    CHECK(with([](auto& call) { call.size = 1 << 20; }) == E2BIG);
    CHECK(client.raw(_IO(P2PRDMA_TYPE, 0x6f), nullptr) == ENOTTY);
    CHECK(client.raw(P2PRDMA_GET_INFO, nullptr) == ENOTTY);
    CHECK(client.raw(P2PRDMA_LOCAL_CALL, nullptr) == EFAULT);

    p2prdma_local_info info = {};
    info.size = sizeof(info);
    info.flags = 1;
    CHECK(client.raw(P2PRDMA_LOCAL_INFO, &info) == EOPNOTSUPP);

    const UniqueFd reader(::open("/dev/p2prdma/local0", O_RDONLY | O_CLOEXEC));
    const auto reading = [&](unsigned long command, void* argument) {
        return ::ioctl(reader.get(), command, argument) < 0 ? errno : 0;
    };
    auto call = raw_call("echo");
    p2prdma_local_event event = {sizeof(event), 0, 5, -1};
    info.flags = 0;
    CHECK(reading(P2PRDMA_LOCAL_INFO, &info) == 0);
    CHECK(reading(P2PRDMA_LOCAL_CALL, &call) == EACCES);
    CHECK(reading(P2PRDMA_LOCAL_EVENT, &event) == EACCES);
    CHECK(client.ask("echo still well") == "still well");
}

TEST_CASE("two calls of a client at once, not three", "[served]")
{
    Client client;
    client.ask("echo");
    int errors[2];
    std::atomic<int> done = 0;
    std::vector<std::thread> threads;
    for (int& error : errors)
        threads.emplace_back([&] {
            do // the third may be there for a moment
                error = client.call_errno("late 4000");
            while (error == EAGAIN);
            done++;
        });
    int refused = 0;
    while (done == 0 && refused == 0) {
        refused += client.call_errno("echo") == EAGAIN;
        std::this_thread::sleep_for(5ms); // lets the others in
    }
    for (auto& thread : threads)
        thread.join();
    CHECK(refused == 1);
    CHECK(errors[0] == 0);
    CHECK(errors[1] == 0);
    CHECK(client.card().alive());
}

TEST_CASE("a call that is not answered in time is the client's last", "[served]")
{
    Client client;
    CHECK(client.call_errno("silent", 200) == ETIMEDOUT);
    CHECK(client.call_errno("echo") == EPIPE);
    CHECK(client.map_code(1, page) == Errc::host_timeout);
    CHECK(!client.card().alive());
    Client other;
    CHECK(other.ask("echo well") == "well");
}

TEST_CASE("answers that are not to the question are dropped", "[served]")
{
    Client client;
    const auto dropped = read_sysfs("messages_dropped");
    for (const char* what : {"epoch", "id", "client", "op"})
        CHECK(client.ask("echo well;lie " + std::string(what)) == "well");
    CHECK(read_sysfs("messages_dropped") == dropped + 4);
    for (const char* what : {"length", "status", "both"})
        CHECK(client.call_errno("echo;bad " + std::string(what)) == EPROTO);
    CHECK(read_sysfs("messages_dropped") == dropped + 7);
    CHECK(client.ask("echo well") == "well");
}

TEST_CASE("pool memory that was granted is mapped, by the client it is for", "[served]")
{
    const uapi::BusErrorHandler handler;
    Client client, other;
    other.ask("echo");
    client.ask("grant 5 pool 0x200000 0x5000");
    auto mapping = client.card().map(5, 0x5000);
    word(mapping, 0x4ff8) = 0x1122334455667788;
    CHECK(client.ask("peek 0x204ff8") == "0x1122334455667788");
    client.ask("poke 0x200010 0x42");
    CHECK(word(mapping, 0x10) == 0x42);

    CHECK(other.map_code(5, page) == Errc::bad_argument);
    CHECK(client.map_code(6, page) == Errc::bad_argument);
    CHECK(client.map_code(0, page) == Errc::bad_argument);
    CHECK(client.map_code(256, page) == Errc::bad_argument);
    CHECK(client.map_code(5, 0x5001) == Errc::bad_argument);
    const int fd = client.card().fd();
    const auto at = [&](off_t offset, int flags) {
        void* start = ::mmap(nullptr, page, PROT_READ, flags, fd,
                             static_cast<off_t>(P2PRDMA_GRANT_OFFSET(5)) + offset);
        const int error = start == MAP_FAILED ? errno : 0;
        if (!error)
            ::munmap(start, page);
        return error;
    };
    CHECK(at(0x4000, MAP_SHARED) == 0);
    CHECK(at(0x5000, MAP_SHARED) == EINVAL);
    CHECK(at(0, MAP_PRIVATE) == EINVAL);

    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGSEGV, SIG_DFL);
        ::_exit(static_cast<int>(word(mapping)));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSEGV);
}

TEST_CASE("a grant for reading is for reading", "[served]")
{
    Client client;
    client.ask("grant 5 pool 0x200000 0x1000 2;poke 0x200000 0x77");
    CHECK(client.map_code(5, page) == Errc::not_permitted);
    auto mapping = client.card().map(5, page, false);
    CHECK(word(mapping) == 0x77);
    auto* start = const_cast<std::byte*>(mapping.span().data());
    CHECK(::mprotect(start, page, PROT_READ | PROT_WRITE) == -1);
    CHECK(errno == EACCES);
}

TEST_CASE("memory is write-combined, or uncached where the grant says so", "[served]")
{
    Client client;
    client.ask("grant 5 pool 0x300000 0x1000;grant 6 pool 0x310000 0x1000 1");
    {
        const auto combined = touched(client, 5), uncached = touched(client, 6);
        CHECK(memory_types(0x300000).find("write-combining") != std::string::npos);
        CHECK(memory_types(0x310000).find("write-combining") == std::string::npos);
    }
    CHECK(memory_types(0x300000).empty());
    auto combined = touched(client, 5);
    client.ask("revoke 5");
    CHECK(client.ask("acked 5") == "yes");
    // While it is still mapped: the range may be given to others as another type.
    CHECK(memory_types(0x300000).empty());
}

TEST_CASE("grants that cannot be are refused", "[served]")
{
    Client client;
    const auto refused = [&](const std::string& grant) {
        client.ask("grant 7 " + grant);
        return client.map_code(7, page, false);
    };
    CHECK(refused("pool 0x200000 0x1000") == std::error_code());
    CHECK(refused("pool 0x4000000 0x1000") == Errc::host_mismatch);
    CHECK(refused("pool 0x3fff000 0x1001") == Errc::host_mismatch);
    CHECK(refused("pool 0x3fff000 0x1000") == std::error_code());
    CHECK(refused("pool 0xfffffffffffff000 0x2000") == Errc::host_mismatch);
    CHECK(refused("pool 0x200000 0xffffffffffffffff") == Errc::host_mismatch);
    CHECK(refused("pool 0x200800 0x1000") == Errc::host_mismatch);
    CHECK(refused("pool 0x200000 0") == Errc::host_mismatch);
    CHECK(refused("pool 0x10000 0x1000") == Errc::host_mismatch);
    CHECK(refused("pool 0x8000 0x8001") == Errc::host_mismatch);
    CHECK(refused("pool 0x1f000 0x1000") == Errc::host_mismatch);
    CHECK(refused("pool 0x200000 0x1000 4") == Errc::host_mismatch);
    CHECK(refused("window 0x200000 0x1000") == Errc::host_mismatch);
    CHECK(refused("window 0x1f0000 0x10000") == std::error_code());
    CHECK(refused("doorbell 0 0x1000") == Errc::host_mismatch);
    CHECK(refused("doorbell 32 0x1000") == Errc::host_mismatch);
    CHECK(refused("doorbell 0x10000000000001 0x1000") == Errc::host_mismatch);
    CHECK(refused("9 0x200000 0x1000") == Errc::host_mismatch);
    CHECK(refused("pool 0x200000 0x1000 0 1234567") == Errc::bad_argument);
    CHECK(client.ask("echo well") == "well");
}

TEST_CASE("a window that was granted leads where the host says", "[served]")
{
    const uapi::BusErrorHandler handler;
    Client client;
    client.ask("window 3 0x1000;grant 9 window 0x30000 0x1000");
    auto mapping = client.card().map(9, page);
    word(mapping, 0x18) = 0x5566;
    CHECK(word(mapping, 0x18) == 0x5566); // stores before a load are done
    CHECK(client.ask("neighbour 0x18") == "0x5566");

    SECTION("until the host closes it")
    {
        client.ask("close 3");
        CHECK(word(mapping, 0x18) == ~std::uint64_t{0});
        word(mapping, 0x18) = 1;
        CHECK(client.ask("neighbour 0x18") == "0x5566");
        CHECK(!client.card().lost_window());
    }
    SECTION("and is taken back although it is mapped, which the client is told")
    {
        client.ask("revoke 9");
        CHECK(client.ask("acked 9") == "yes");
        CHECK(uapi::bus_error(word(mapping)));
        CHECK(client.card().lost_window());
        CHECK(client.card().alive());
        CHECK(client.map_code(9, page) == Errc::bad_argument);
    }
    SECTION("and is taken back in order once the client has unmapped it")
    {
        mapping.unmap();
        client.ask("revoke 9");
        CHECK(client.ask("acked 9") == "yes");
        CHECK(!client.card().lost_window());
    }
    client.ask("close 3");
}

TEST_CASE("memory that is taken back is not there any more", "[served]")
{
    const uapi::BusErrorHandler handler;
    Client client;
    client.ask("grant 5 pool 0x200000 0x400000");
    auto mapping = client.card().map(5, 0x400000);
    auto untouched = client.card().map(5, page);
    word(mapping) = 1;
    word(mapping, 0x3ff000) = 1;
    client.ask("revoke 5");
    CHECK(client.ask("acked 5") == "yes");
    CHECK(uapi::bus_error(word(mapping)));
    CHECK(uapi::bus_error(word(mapping, 0x3ff000)));
    CHECK(uapi::bus_error(word(untouched)));
    CHECK(!client.card().lost_window());

    client.ask("grant 5 pool 0x200000 0x1000");
    auto again = client.card().map(5, page);
    word(again) = 2;
    CHECK(uapi::bus_error(word(mapping)));
}

TEST_CASE("pages come and go while they are used", "[served]")
{
    const uapi::BusErrorHandler handler;
    Client client;
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> lost = 0;
    std::vector<std::thread> users;
    for (int i = 0; i < 2; i++)
        users.emplace_back([&] {
            while (!stop)
                try {
                    auto mapping = client.card().map(5, 4 * page);
                    while (!stop && !uapi::bus_error(word(mapping, 3 * page)))
                        ;
                    lost++;
                } catch (const p2prdma::Error&) {
                    std::this_thread::yield(); // between two grants
                }
        });
    int acknowledged = 0;
    for (int i = 0; i < 30; i++) {
        client.ask("grant 5 pool 0x200000 0x4000");
        std::this_thread::sleep_for(5ms); // something for the users to do; nothing depends on it
        client.ask("revoke 5");
        acknowledged += client.ask("acked 5") == "yes";
    }
    stop = true;
    for (auto& user : users)
        user.join();
    CHECK(acknowledged == 30);
    CHECK(lost > 0);
}

TEST_CASE("a doorbell page wakes the client that it was granted to", "[served]")
{
    Client client;
    client.ask("grant 4 doorbell 9 0x1000;grant 5 pool 0x200000 0x1000");
    auto mapping = client.card().map(4, page, false);
    const auto eventfd = make_eventfd();
    client.card().bind_event(4, eventfd.get());
    CHECK(take(eventfd, 0ms)); // for what came before
    CHECK(!take(eventfd, 0ms));
    const auto count = word(mapping, 0xff0) & 0xffffffff;
    client.ask("bell 9 0xabcd");
    CHECK(take(eventfd, 10s));
    CHECK((word(mapping, 0xff0) & 0xffffffff) == count + 1);
    CHECK(word(mapping, 0xff8) == 0xabcd);

    SECTION("and no other")
    {
        client.ask("bell 16 1"); // of the same vector
        client.ask("bell 2 1");
        CHECK(!take(eventfd, 200ms));
    }
    SECTION("once at a time")
    {
        CHECK(code_of([&] { client.card().bind_event(4, eventfd.get()); }) == Errc::bad_argument);
        client.card().unbind_event(4);
        CHECK(code_of([&] { client.card().unbind_event(4); }) == Errc::bad_argument);
        client.ask("bell 9 1");
        CHECK(!take(eventfd, 200ms));
        client.card().bind_event(4, eventfd.get());
        CHECK(take(eventfd, 0ms));
    }
    SECTION("until it is taken back")
    {
        client.ask("revoke 4");
        CHECK(client.ask("acked 4") == "yes");
        client.ask("bell 9 1");
        CHECK(!take(eventfd, 200ms));
        CHECK(code_of([&] { client.card().unbind_event(4); }) == Errc::bad_argument);
    }
    SECTION("whatever else there is")
    {
        const int no_eventfd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(code_of([&] { client.card().bind_event(5, eventfd.get()); }) == Errc::bad_argument);
        CHECK(code_of([&] { client.card().bind_event(6, eventfd.get()); }) == Errc::bad_argument);
        client.ask("grant 8 doorbell 10 0x1000");
        CHECK(code_of([&] { client.card().bind_event(8, no_eventfd); }) == Errc::bad_argument);
        CHECK(code_of([&] { client.card().bind_event(8, 1000); }) == Errc::bad_argument);
        client.ask("grant 8 doorbell 0 0x1000");
        CHECK(code_of([&] { client.card().bind_event(8, eventfd.get()); }) == Errc::host_mismatch);
        ::close(no_eventfd);
    }
    SECTION("also in a storm, which ends")
    {
        client.ask("bell 9 7 3000");
        CHECK(within([&] {
            take(eventfd, 100ms);
            return (word(mapping, 0xff0) & 0xffffffff) == count + 3001;
        }));
        CHECK(client.ask("bell 9 8") == "");
        CHECK(take(eventfd, 10s));
    }
}

TEST_CASE("a client that is gone is told to the host, when its mappings are gone", "[served]")
{
    Client watcher;
    std::uint32_t number = 0;
    const auto told = [&] {
        return (" " + watcher.ask("gone") + " ").find(" " + std::to_string(number) + " ") !=
               std::string::npos;
    };
    SECTION("by closing")
    {
        GrantMapping mapping;
        {
            Client client;
            client.ask("grant 5 pool 0x200000 0x1000");
            number = client.info().client;
            mapping = client.card().map(5, page);
        }
        watcher.ask("echo"); // the request before would have arrived by now
        CHECK(!told());
        word(mapping) = 1;
        mapping.unmap();
        CHECK(within(told));
    }
    SECTION("by a kill in a call")
    {
        int pipes[2];
        REQUIRE(::pipe(pipes) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            Client client;
            client.ask("grant 5 pool 0x200000 0x1000");
            const auto mapping = client.card().map(5, page);
            word(mapping) = 1;
            number = client.info().client;
            (void)!::write(pipes[1], &number, sizeof(number));
            client.call_errno("silent", 60000);
            ::_exit(0);
        }
        REQUIRE(::read(pipes[0], &number, sizeof(number)) == sizeof(number));
        std::this_thread::sleep_for(50ms); // likely in the call; the kill must do at any time
        ::kill(child, SIGKILL);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));
        CHECK(within(told));
        ::close(pipes[0]);
        ::close(pipes[1]);
    }
    SECTION("but not if it never called")
    {
        {
            Client client;
            number = client.info().client;
        }
        CHECK(number == 0);
        CHECK(!told());
    }
}

TEST_CASE("numbers of clients do not come again soon", "[served]")
{
    std::set<std::uint32_t> numbers;
    for (int i = 0; i < 100; i++) {
        Client client;
        client.ask("echo");
        numbers.insert(client.info().client);
    }
    CHECK(numbers.size() == 100);
}

TEST_CASE("there are so many clients at once", "[served]")
{
    Client first;
    first.ask("hold");
    {
        std::vector<Client> clients(31);
        for (auto& client : clients)
            client.ask("echo");
        Client more;
        CHECK(more.call_errno("echo") == EUSERS);
        CHECK(more.card().alive());
    }
    // They are gone, and the host has not answered yet.
    Client more;
    CHECK(more.call_errno("echo") == EUSERS);
    first.ask("release");
    CHECK(within([&] { return more.call_errno("echo") == 0; }));
}

TEST_CASE("an epoch that ends takes all with it", "[epoch]")
{
    const uapi::BusErrorHandler handler;
    Client client, bystander, fresh;
    const auto epoch = client.info().epoch;
    bystander.ask("grant 6 doorbell 9 0x1000;grant 7 pool 0x210000 0x1000");
    const auto eventfd = make_eventfd();
    bystander.card().bind_event(6, eventfd.get());
    client.ask("grant 5 pool 0x200000 0x1000");
    auto mapping = client.card().map(5, page);
    auto other = bystander.card().map(7, page);
    word(mapping) = 1;
    word(other) = 1;

    int expected = ECONNRESET;
    SECTION("the area is opened anew")
    {
        CHECK(client.call_errno("replace") == expected);
    }
    SECTION("the daemon ends in order")
    {
        CHECK(client.call_errno("done") == expected);
    }
    SECTION("the host is reset")
    {
        CHECK(client.call_errno("vanish") == expected);
    }
    SECTION("the host takes more requests than there are")
    {
        expected = EPROTO;
        client.call_errno("tail 1000", 100);
        CHECK(bystander.call_errno("echo") == expected);
    }
    SECTION("the host takes requests back")
    {
        expected = EPROTO;
        client.call_errno("tail -70", 100);
        CHECK(bystander.call_errno("echo") == expected);
    }
    SECTION("the host sends more replies than fit")
    {
        expected = EPROTO;
        CHECK(client.call_errno("head 65") == expected);
    }
    if (expected == EPROTO)
        CHECK(client.info().state == State::foreign);

    CHECK(within([&] { return !client.card().alive() && !bystander.card().alive(); }));
    CHECK(fresh.card().alive());
    CHECK(uapi::bus_error(word(mapping)));
    CHECK(uapi::bus_error(word(other)));
    CHECK(bystander.call_errno("echo") == expected);
    CHECK(bystander.map_code(7, page).value() != 0);
    CHECK(bystander.raw(P2PRDMA_LOCAL_EVENT, [] {
        static p2prdma_local_event event = {sizeof(event), 0, 6, -1};
        return &event;
    }()) == expected);

    REQUIRE(
        within([&] { return fresh.info().state == State::served && fresh.info().epoch != epoch; }));
    CHECK(fresh.ask("echo well") == "well");
    CHECK(take(eventfd, 0ms)); // from the binding
    fresh.ask("bell 9 1");
    CHECK(!take(eventfd, 200ms));
}

TEST_CASE("a host that writes rubbish harms nobody", "[scramble]")
{
    const uapi::BusErrorHandler handler;
    Client first;
    first.ask("echo");
    std::atomic<bool> stop = false;
    std::atomic<int> rounds = 0;
    std::vector<std::thread> users;
    for (int i = 0; i < 2; i++)
        users.emplace_back([&, i] {
            while (!stop) {
                Client client;
                client.call_errno("echo", 50);
                for (std::uint32_t grant = 1; grant < 256 && !stop; grant++)
                    try {
                        const auto eventfd = make_eventfd();
                        const auto mapping = client.card().map(grant, page, false);
                        static_cast<void>(uapi::bus_error(word(mapping)));
                        if (i)
                            client.card().bind_event(grant, eventfd.get());
                    } catch (const p2prdma::Error&) {
                        continue; // what it is does not matter
                    }
                rounds++;
            }
        });
    const auto end = std::chrono::steady_clock::now() + 10s;
    first.call_errno("scramble 8000", 12000); // may end early: the first rubbish ends the epoch
    std::this_thread::sleep_until(end);
    stop = true;
    for (auto& user : users)
        user.join();
    CHECK(rounds > 0);
    CHECK(within([] { return Client().call_errno("echo well") == 0; }));
}

TEST_CASE("functions that go take all with them", "[removal]")
{
    const uapi::BusErrorHandler handler;
    wait_served();
    Client client;
    client.ask("grant 5 pool 0x200000 0x1000");
    auto mapping = client.card().map(5, page);
    word(mapping) = 1;
    int error = 0;
    std::thread waits([&] { error = client.call_errno("silent", 60000); });
    client.ask("echo"); // behind the other's request, most of the time
    REQUIRE(std::system(std::getenv("P2PRDMA_REMOVE")) == 0);
    waits.join();
    CHECK(error == ENODEV);
    CHECK(!client.card().alive());
    CHECK(uapi::bus_error(word(mapping)));
    CHECK(client.call_errno("echo") == ENODEV);
    CHECK(code_of([&] { static_cast<void>(client.info()); }) == Errc::card_gone);
    CHECK(client.map_code(5, page) == Errc::card_gone);
    CHECK(code_of([&] { client.card().bind_event(5, 0); }) == Errc::card_gone);

    REQUIRE(std::system(std::getenv("P2PRDMA_RETURN")) == 0);
    REQUIRE(within([] { return !LocalCard::enumerate().empty(); }));
    wait_served();
    Client again;
    CHECK(again.ask("echo well") == "well");
}

TEST_CASE("no memory is an error, and leaves nothing behind", "[fail_nth]")
{
    uapi::FailNth fail;
    if (!fail.available())
        SKIP("the kernel has no fault injection");
    wait_served();
    Client keeper;
    keeper.ask("grant 4 doorbell 9 0x1000;grant 5 pool 0x200000 0x1000");
    const auto eventfd = make_eventfd();
    const auto sweep = [&](auto action) {
        int failures = 0;
        for (int nth = 1; nth < 100; nth++) {
            fail.set(nth);
            const int error = action();
            if (!fail.clear())
                return failures;
            CHECK((error == 0 || error == ENOMEM));
            failures++;
        }
        return -1;
    };
    CHECK(sweep([] {
              const int fd = ::open("/dev/p2prdma/local0", O_RDWR | O_CLOEXEC);
              return fd < 0 ? errno : (::close(fd), 0);
          }) > 0);
    CHECK(sweep([&] { return keeper.call_errno("echo"); }) > 0);
    CHECK(sweep([&] {
              void* start = ::mmap(nullptr, page, PROT_READ, MAP_SHARED, keeper.card().fd(),
                                   static_cast<off_t>(P2PRDMA_GRANT_OFFSET(5)));
              return start == MAP_FAILED ? errno : (::munmap(start, page), 0);
          }) > 0);
    CHECK(sweep([&] {
              p2prdma_local_event event = {sizeof(event), 0, 4, eventfd.get()};
              const int error = keeper.raw(P2PRDMA_LOCAL_EVENT, &event);
              event.eventfd = -1;
              return error ? error : keeper.raw(P2PRDMA_LOCAL_EVENT, &event);
          }) >= 0);
    CHECK(keeper.ask("echo well") == "well");
}
