// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "p2prdma/l2.hpp"
#include "tests/l2/veth.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstring>
#include <future>
#include <malloc.h>
#include <poll.h>
#include <random>
#include <sys/mman.h>
#include <thread>
#include <utility>
#include <vector>

using namespace p2prdma;
using namespace p2prdma::l2;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t service = 42;

auto soon()
{
    return std::chrono::steady_clock::now() + 10s;
}

std::vector<std::byte> random_bytes(std::size_t size)
{
    std::mt19937_64 random(size);
    std::vector<std::byte> bytes(size);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random());
    return bytes;
}

/// A device, and what an application has of it.
struct Host {
    Host(const char* interface, const DeviceOptions& options)
        : device(Device::open(interface, options)), domain(device), queue(device, 1024)
    {
    }
    Completion next()
    {
        Completion one;
        REQUIRE(queue.wait(std::span(&one, 1), soon()) == 1);
        return one;
    }

    Device device;
    ProtectionDomain domain;
    CompletionQueue queue;
};

/// Two hosts on a veth pair, connected.
struct Hosts {
    explicit Hosts(const DeviceOptions& options = {}, unsigned mtu = 1500)
        : veth(mtu), left(test::Veth::a, options), right(test::Veth::b, options),
          listener(right.device, service)
    {
        auto accepted = std::async(std::launch::async, [this] { return accept(); });
        const std::array data = {std::byte{1}, std::byte{2}};
        client.emplace(QueuePair::connect(left.domain, right.device.address(), service, left.queue,
                                          left.queue, soon(), {}, data));
        server.emplace(accepted.get());
    }
    QueuePair accept()
    {
        const auto request = listener.wait(soon());
        if (!request)
            throw std::runtime_error("nobody connects");
        return listener.accept(*request, right.domain, right.queue, right.queue);
    }

    test::Veth veth;
    Host left, right;
    Listener listener;
    std::optional<QueuePair> client, server;
};

RemoteMemory remote_of(std::span<const std::byte> memory, const Region& region)
{
    return {reinterpret_cast<std::uintptr_t>(memory.data()), region.key()};
}

Segment segment_of(std::span<std::byte> memory, const Region& region)
{
    return {memory.data(), static_cast<std::uint32_t>(memory.size()), region.key()};
}

} // namespace

TEST_CASE("Device: send, write and read over a veth pair")
{
    for (const auto kind : {PortKind::packet, PortKind::ring}) {
        DeviceOptions options;
        options.port = kind;
        Hosts hosts(options);
        CHECK(hosts.server->peer_data().size() == 2);
        auto source = random_bytes(1 << 20);
        std::vector<std::byte> target(source.size()), back(source.size());
        const Region source_region(hosts.left.domain, source, Access::local_read);
        const Region back_region(hosts.left.domain, back, Access::local_write);
        const Region target_region(hosts.right.domain, target, Access::all);

        const auto place = segment_of(target, target_region);
        REQUIRE(hosts.server->post_receive({.id = 5, .segments = std::span(&place, 1)}) ==
                std::errc());
        const auto from = segment_of(source, source_region);
        REQUIRE(hosts.client->post_send({.id = 1, .segments = std::span(&from, 1)}) == std::errc());
        CHECK(hosts.left.next().status == Status::success);
        const auto received = hosts.right.next();
        CHECK(received.status == Status::success);
        CHECK(received.length == source.size());
        CHECK(target == source);

        const auto into = segment_of(back, back_region);
        REQUIRE(hosts.client->post_send({.id = 2,
                                         .operation = Operation::read,
                                         .segments = std::span(&into, 1),
                                         .remote = remote_of(target, target_region)}) ==
                std::errc());
        CHECK(hosts.left.next().status == Status::success);
        CHECK(back == source);

        hosts.client->close(soon());
        CHECK(hosts.client->phase() == QueuePair::Phase::closed);
        CHECK(hosts.client->post_send({.id = 3}) == std::errc::not_connected);
    }
}

TEST_CASE("R3.7: a region's key is random, and can be for one peer only")
{
    Hosts hosts;
    auto source = random_bytes(64);
    std::vector<std::byte> target(source.size());
    const Region from(hosts.left.domain, source, Access::local_read);
    Region theirs(hosts.right.domain, target, Access::all);
    const Region another(hosts.right.domain, target, Access::all);
    CHECK((theirs.key() != another.key() && theirs.key() != from.key()));
    const auto write = [&](const Region& to) {
        const auto segment = segment_of(source, from);
        REQUIRE(hosts.client->post_send({.operation = Operation::write,
                                         .segments = std::span(&segment, 1),
                                         .remote = remote_of(target, to)}) == std::errc());
        std::array<Completion, 1> done;
        REQUIRE(hosts.left.queue.wait(done, soon()) == 1);
        return done[0].status;
    };
    theirs.restrict_to(hosts.left.device.address());
    CHECK(write(theirs) == Status::success);
    CHECK(target == source);
    std::ranges::fill(target, std::byte{});
    theirs.restrict_to(hosts.right.device.address());
    CHECK(write(theirs) == Status::remote_access);
    CHECK(std::ranges::all_of(target, [](std::byte byte) { return byte == std::byte{}; }));
}

TEST_CASE("Device: a write into memory that is not there yet")
{
    Hosts hosts;
    constexpr std::size_t size = 1 << 20;
    auto* const memory = static_cast<std::byte*>(
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory != MAP_FAILED);
    const auto region = Region::implicit(hosts.right.domain, memory, size, Access::all);
    auto source = random_bytes(size);
    const auto all = Region::implicit_all(hosts.left.domain, Access::local_read);
    const auto from = segment_of(source, all);
    REQUIRE(hosts.client->post_send({.id = 1,
                                     .operation = Operation::write,
                                     .segments = std::span(&from, 1),
                                     .remote = remote_of({memory, size}, region)}) == std::errc());
    CHECK(hosts.left.next().status == Status::success);
    CHECK(std::memcmp(memory, source.data(), size) == 0);

    // What is not mapped any more is refused, and nobody is harmed.
    ::munmap(memory, size);
    REQUIRE(hosts.client->post_send({.id = 2,
                                     .operation = Operation::write,
                                     .segments = std::span(&from, 1),
                                     .remote = remote_of({memory, size}, region)}) == std::errc());
    CHECK(hosts.left.next().status == Status::remote_fault);
    CHECK(hosts.client->phase() == QueuePair::Phase::error);
}

TEST_CASE("Device: only calls move it on, if so asked")
{
    DeviceOptions options;
    options.progress = Progress::caller;
    options.trust_segment = true;
    Hosts hosts(options);
    auto source = random_bytes(5000);
    std::vector<std::byte> target(source.size());
    const Region source_region(hosts.left.domain, source, Access::local_read);
    const Region target_region(hosts.right.domain, target, Access::all);
    const auto from = segment_of(source, source_region);
    const SendRequest request{.id = 1,
                              .operation = Operation::write,
                              .segments = std::span(&from, 1),
                              .remote = remote_of(target, target_region)};
    REQUIRE(hosts.client->post_send(request) == std::errc());
    Completion one;
    while (hosts.left.queue.poll(std::span(&one, 1)) == 0) {
        pollfd fd = {hosts.right.device.fd(), POLLIN, 0};
        REQUIRE(::poll(&fd, 1, 1000) >= 0);
        (void)hosts.right.device.progress();
    }
    CHECK(one.status == Status::success);
    CHECK(target == source);
}

TEST_CASE(
    "Device: a lost frame is repaired soon although a thread sleeps that waits for something else")
{
    DeviceOptions options;
    options.lose = 0.3; // each way: half of the writes are not answered at once
    Hosts hosts(options);
    auto memory = random_bytes(64);
    const Region region(hosts.left.domain, memory, Access::local_read);
    const Region target(hosts.right.domain, memory, Access::all);
    CompletionQueue idle(hosts.left.device, 16);
    std::atomic<bool> stop = false;
    auto sleeper = std::async(std::launch::async, [&] {
        Completion none;
        while (!stop)
            CHECK(idle.wait(std::span(&none, 1), std::chrono::steady_clock::now() + 500ms) == 0);
    });
    const auto from = segment_of(memory, region);
    auto& queue = hosts.left.queue;
    std::vector<std::chrono::steady_clock::duration> times;
    for (std::uint64_t i = 0; i < 40; ++i) {
        std::this_thread::sleep_for(60ms); // no timer of the one before is left to wake anybody
        const auto start = std::chrono::steady_clock::now();
        queue.arm();
        REQUIRE(hosts.client->post_send({.id = i,
                                         .operation = Operation::write,
                                         .segments = std::span(&from, 1),
                                         .remote = remote_of(memory, target)}) == std::errc());
        std::array<Completion, 1> done;
        while (queue.poll(done) == 0) {
            queue.arm();
            pollfd fd = {queue.fd(), POLLIN, 0};
            REQUIRE(::poll(&fd, 1, 10'000) == 1);
        }
        CHECK(done[0].status == Status::success);
        times.push_back(std::chrono::steady_clock::now() - start);
    }
    stop = true;
    sleeper.get();
    // Who looked at the device only at its next tick would take tens of milliseconds for each loss,
    // thus for half of all. Those whose repair is lost, too, take long in any case.
    std::sort(times.begin(), times.end());
    CHECK(times[times.size() * 7 / 10] < 20ms);
}

TEST_CASE("Device: who serves what is found, and who does not is refused")
{
    test::Veth veth;
    DeviceOptions options;
    options.name = "right hand";
    Host left(test::Veth::a, {}), right(test::Veth::b, options);
    const Listener listener(right.device, service);
    const auto peers = left.device.discover(service, 300ms);
    REQUIRE(peers.size() == 1);
    CHECK(peers[0].address == right.device.address());
    CHECK(peers[0].name == "right hand");
    CHECK(peers[0].fault_delay);
    CHECK(left.device.discover(service + 1, 100ms).empty());
    CHECK_THROWS_AS(QueuePair::connect(left.domain, right.device.address(), service + 1, left.queue,
                                       left.queue, soon()),
                    Error);
    CHECK_THROWS_AS(Device::open(test::Veth::a, {}), Error);
}

TEST_CASE("R3.7: on a bridge that strangers may reach, connections need a secret or trust")
{
    test::Veth veth;
    test::Veth::ip("link add crossing type bridge");
    test::Veth::ip("link set left master crossing");
    test::Veth::ip("link set crossing up");
    Host host(test::Veth::a, {});
    CHECK_THROWS_AS(Listener(host.device, service), Error);
    CHECK_THROWS_AS(QueuePair::connect(host.domain, {{2, 0, 0, 0, 0, 1}}, service, host.queue,
                                       host.queue, soon()),
                    Error);
}

TEST_CASE("Device: who has no secret, or another one, is refused and says why")
{
    DeviceOptions none, one, other;
    none.trust_segment = true;
    one.secret.assign(32, std::byte{1});
    other.secret.assign(32, std::byte{2});
    const auto& [asks, answers] =
        GENERATE_COPY(std::pair(none, one), std::pair(one, none), std::pair(one, other));
    test::Veth veth;
    Host left(test::Veth::a, asks), right(test::Veth::b, answers);
    const Listener listener(right.device, service);
    try {
        (void)QueuePair::connect(left.domain, right.device.address(), service, left.queue,
                                 left.queue, std::chrono::steady_clock::now() + 1s);
        FAIL("they connect");
    } catch (const Error& error) {
        INFO(error.what());
        CHECK(error.code() == std::error_code(ECONNREFUSED, std::system_category()));
        CHECK(std::string_view(error.what()).find("secret") != std::string_view::npos);
    }
}

TEST_CASE("Device: two that look for peers at once both find them")
{
    test::Veth veth;
    Host left(test::Veth::a, {}), right(test::Veth::b, {});
    const Listener one(right.device, service), other(right.device, service + 1);
    auto found =
        std::async(std::launch::async, [&] { return left.device.discover(service, 400ms); });
    std::this_thread::sleep_for(200ms);
    const auto later = left.device.discover(service + 1, 400ms);
    const auto before = found.get();
    REQUIRE(later.size() == 1);
    CHECK(later[0].service == service + 1);
    REQUIRE(before.size() == 1);
    CHECK(before[0].service == service);
}

TEST_CASE("R3.7: on a bridge, a secret or trust permits connections")
{
    for (const bool secret : {false, true}) {
        INFO("secret " << secret);
        test::Veth veth;
        test::Veth::ip("link add crossing type bridge forward_delay 0");
        test::Veth::ip("link set left master crossing");
        test::Veth::ip("link set crossing up");
        DeviceOptions options;
        options.trust_segment = !secret;
        if (secret)
            options.secret.assign(32, std::byte{9});
        Host host("crossing", options), right(test::Veth::b, options);
        Listener listener(host.device, service);
        auto accepted = std::async(std::launch::async, [&] {
            const auto request = listener.wait(soon());
            if (!request)
                throw std::runtime_error("nobody connects");
            return listener.accept(*request, host.domain, host.queue, host.queue);
        });
        const auto client = QueuePair::connect(right.domain, host.device.address(), service,
                                               right.queue, right.queue, soon());
        const auto server = accepted.get();
        CHECK(client.phase() == QueuePair::Phase::connected);
        CHECK(server.phase() == QueuePair::Phase::connected);
    }
}

TEST_CASE("R7.4: a queue pair that is idle after a message takes at most 4 KiB of the heap, beside "
          "completion queues, which are the application's")
{
    const auto allocated = [] { return ::mallinfo2().uordblks; };
    if (allocated() == 0)
        SKIP("this allocator does not tell what is allocated");
    constexpr std::size_t count = 200;
    Hosts hosts;
    CompletionQueue left_queue(hosts.left.device, 1 << 17);
    CompletionQueue right_queue(hosts.right.device, 1 << 17);
    auto memory = random_bytes(4096);
    const Region source(hosts.left.domain, memory, Access::local_read);
    std::vector<std::byte> target(memory.size());
    const Region target_region(hosts.right.domain, target, Access::all);
    const auto from = segment_of(memory, source);
    const auto to = segment_of(target, target_region);
    const auto succeeds = [](CompletionQueue& queue) {
        Completion one;
        return queue.wait(std::span(&one, 1), soon()) == 1 && one.status == Status::success;
    };
    std::vector<std::pair<QueuePair, QueuePair>> pairs;
    pairs.reserve(2 * count);
    const auto grow = [&] {
        for (std::size_t i = 0; i < count; ++i) {
            auto accepted = std::async(std::launch::async, [&] {
                const auto request = hosts.listener.wait(soon());
                if (!request)
                    throw std::runtime_error("nobody connects");
                return hosts.listener.accept(*request, hosts.right.domain, right_queue,
                                             right_queue);
            });
            auto client = QueuePair::connect(hosts.left.domain, hosts.right.device.address(),
                                             service, left_queue, left_queue, soon());
            pairs.emplace_back(std::move(client), accepted.get());
            auto& [left, right] = pairs.back();
            REQUIRE(right.post_receive({.segments = std::span(&to, 1)}) == std::errc());
            REQUIRE(left.post_send({.segments = std::span(&from, 1)}) == std::errc());
            CHECK(succeeds(left_queue));
            CHECK(succeeds(right_queue));
        }
        std::this_thread::sleep_for(300ms); // what was kept for the next message is freed
        return allocated();
    };
    const auto before = grow();                      // with what all of them share
    const auto each = (grow() - before) / count / 2; // both ends are here
    INFO(each << " bytes");
    CHECK(each > 512); // it was measured
    CHECK(each <= 4096);
}
