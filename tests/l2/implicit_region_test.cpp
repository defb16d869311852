// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Implicit regions of real memory, between two devices with threads on a veth pair.
#include "p2prdma/l2.hpp"
#include "tests/l2/paging.hpp"
#include "tests/l2/veth.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <future>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>

using namespace p2prdma::l2;
using namespace std::chrono_literals;
using paging::Mapping;
using paging::page;

namespace {

auto soon()
{
    return std::chrono::steady_clock::now() + 10s;
}

std::vector<std::byte> random_bytes(std::size_t size, unsigned seed)
{
    std::mt19937_64 random(seed);
    std::vector<std::byte> bytes(size);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random());
    return bytes;
}

/// A device all of whose address space is one region.
struct End {
    End(const char* interface, const DeviceOptions& options)
        : device(Device::open(interface, options)), domain(device), queue(device, 256),
          region(Region::implicit_all(domain, Access::all))
    {
    }
    [[nodiscard]] std::uint64_t count(const std::string& name) const
    {
        const auto all = device.statistics();
        const auto found =
            std::ranges::find_if(all, [&](const auto& one) { return one.first == name; });
        REQUIRE(found != all.end());
        return found->second;
    }

    Device device;
    ProtectionDomain domain;
    CompletionQueue queue;
    Region region;
};

class Ends {
public:
    explicit Ends(const DeviceOptions& options = {})
        : a_(test::Veth::a, options), b_(test::Veth::b, options), listener_(b_.device, 7)
    {
        auto accepted = std::async(std::launch::async, [this] {
            const auto request = listener_.wait(soon());
            if (!request)
                throw std::runtime_error("nobody connects");
            return listener_.accept(*request, b_.domain, b_.queue, b_.queue);
        });
        client_.emplace(
            QueuePair::connect(a_.domain, b_.device.address(), 7, a_.queue, a_.queue, soon()));
        server_.emplace(accepted.get());
    }
    /// Copies between memory of A's and of B's, which are of one process here.
    [[nodiscard]] Status transfer(Operation operation, std::span<std::byte> local,
                                  std::span<std::byte> remote)
    {
        post(operation, local, remote);
        return finish();
    }
    void post(Operation operation, std::span<std::byte> local, std::span<std::byte> remote)
    {
        const Segment segment = {local.data(), static_cast<std::uint32_t>(local.size()),
                                 a_.region.key()};
        REQUIRE(client_->post_send({.operation = operation,
                                    .segments = std::span(&segment, 1),
                                    .remote = {reinterpret_cast<std::uintptr_t>(remote.data()),
                                               b_.region.key()}}) == std::errc());
    }
    [[nodiscard]] Status finish()
    {
        Completion one;
        REQUIRE(a_.queue.wait(std::span(&one, 1), soon()) == 1);
        return one.status;
    }
    [[nodiscard]] End& a() { return a_; }
    [[nodiscard]] End& b() { return b_; }
    /// Of both.
    [[nodiscard]] std::uint64_t count(const std::string& name)
    {
        return a_.count(name) + b_.count(name);
    }

private:
    test::Veth veth_;
    End a_, b_;
    Listener listener_;
    std::optional<QueuePair> client_, server_;
};

} // namespace

TEST_CASE("R7.1: real memory that was never touched, at either end")
{
    Ends ends;
    const Mapping source(128);
    const Mapping target(128);
    const Mapping back(128);
    const auto content = random_bytes(source.size(), 1);
    std::ranges::copy(content, source.at(0));
    CHECK(ends.transfer(Operation::write, source.span(), target.span()) == Status::success);
    CHECK(std::ranges::equal(target.span(), content));
    CHECK(ends.transfer(Operation::read, back.span(), target.span()) == Status::success);
    CHECK(std::ranges::equal(back.span(), content));
    CHECK(ends.count("faults") > 0);
    CHECK(ends.count("fault_aborts") == 0);
    CHECK(ends.count("receiver_not_ready") == 0);
}

TEST_CASE("R7.2: a userfaultfd that answers late")
{
    const auto fd = paging::Userfault::open(paging::Userfault::Scope::all);
    if (!fd)
        SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
    Ends ends;
    const Mapping source(16);
    const Mapping target(16);
    const auto content = random_bytes(source.size(), 2);
    std::ranges::copy(content, source.at(0));
    paging::Userfault owner(*fd, target.span());
    std::jthread answering([&](const std::stop_token& stop) {
        while (!stop.stop_requested())
            if (std::byte* const where = owner.wait(50)) {
                std::this_thread::sleep_for(10ms);
                owner.answer(where, std::byte{0});
            }
    });
    CHECK(ends.transfer(Operation::write, source.span(), target.span()) == Status::success);
    CHECK(std::ranges::equal(target.span(), content));
    CHECK(ends.count("faults") > 0);
}

TEST_CASE("R7.7: a userfaultfd that never answers, and memory that is not mapped")
{
    const auto fd = paging::Userfault::open(paging::Userfault::Scope::all);
    if (!fd)
        SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
    DeviceOptions options;
    options.fault_limit = 300ms;
    const Mapping source(4);
    const Mapping target(4);
    source.touch(0, 4);
    const bool unmapped = GENERATE(true, false);
    paging::Userfault owner(*fd, target.span());
    if (unmapped)
        target.unmap(1, 2);
    Ends ends(options);
    const auto begin = std::chrono::steady_clock::now();
    const auto to = unmapped ? target.span().subspan(page, page) : target.span();
    CHECK(ends.transfer(Operation::write, source.span().first(to.size()), to) ==
          Status::remote_fault);
    CHECK(std::chrono::steady_clock::now() - begin < 3s);
}

TEST_CASE("R7.7: memory that is unmapped under a running write")
{
    for (int round = 0; round < 5; ++round) {
        Ends ends;
        const Mapping source(256);
        source.touch(0, 256);
        const Mapping target(256);
        ends.post(Operation::write, source.span(), target.span());
        std::this_thread::sleep_for(std::chrono::microseconds(round * 300));
        target.unmap(0, 256);
        const auto status = ends.finish();
        CHECK((status == Status::remote_fault || status == Status::success));
    }
}

TEST_CASE("R7.8: pages that are thrown away while others are written and read")
{
    Ends ends;
    const Mapping source(64);
    const Mapping target(128);
    std::jthread other([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) { // what nobody compares
            ::madvise(target.at(64), 64 * page, MADV_DONTNEED);
            std::this_thread::sleep_for(20us);
        }
    });
    for (unsigned i = 0; i < 10; ++i) {
        const auto content = random_bytes(source.size(), i);
        std::ranges::copy(content, source.at(0));
        CHECK(ends.transfer(Operation::write, source.span(), target.span().last(64 * page)) ==
              Status::success);
        CHECK(ends.transfer(Operation::write, source.span(), target.span().first(64 * page)) ==
              Status::success);
        CHECK(std::ranges::equal(target.span().first(64 * page), content));
    }
}

TEST_CASE("R7.11: what was prefetched does not fault")
{
    Ends ends;
    const Mapping source(64);
    source.touch(0, 64);
    const Mapping target(64);
    ends.b().region.prefetch(target.at(0), target.size(), true);
    std::array<unsigned char, 64> there = {};
    const auto until = soon();
    while (std::chrono::steady_clock::now() < until &&
           std::ranges::count(there, 1) != static_cast<std::ptrdiff_t>(there.size())) {
        std::this_thread::sleep_for(1ms);
        ::mincore(target.at(0), target.size(), there.data());
    }
    CHECK(ends.transfer(Operation::write, source.span(), target.span()) == Status::success);
    CHECK(std::ranges::equal(target.span(), source.span()));
    CHECK(ends.b().count("faults") == 0);
}
