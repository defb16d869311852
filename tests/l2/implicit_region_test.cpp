// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Implicit regions of real memory, between two devices with threads on a veth pair.
#include "p2prdma/l2.hpp"
#include "tests/l2/paging.hpp"
#include "tests/l2/veth.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

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
        : device(Device::open(interface, options)), domain(device), queue(device, 1024),
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
        auto accepted = std::async(std::launch::async, [this] { return accept(); });
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
    /// Another connection; its end at A completes in `queue`.
    [[nodiscard]] std::pair<QueuePair, QueuePair> another(CompletionQueue& queue)
    {
        auto accepted = std::async(std::launch::async, [this] { return accept(); });
        auto client = QueuePair::connect(a_.domain, b_.device.address(), 7, queue, queue, soon());
        return {std::move(client), accepted.get()};
    }
    [[nodiscard]] End& a() { return a_; }
    [[nodiscard]] End& b() { return b_; }
    /// Of both.
    [[nodiscard]] std::uint64_t count(const std::string& name)
    {
        return a_.count(name) + b_.count(name);
    }

private:
    [[nodiscard]] QueuePair accept()
    {
        const auto request = listener_.wait(soon());
        if (!request)
            throw std::runtime_error("nobody connects");
        return listener_.accept(*request, b_.domain, b_.queue, b_.queue);
    }

    test::Veth veth_;
    End a_, b_;
    Listener listener_;
    std::optional<QueuePair> client_, server_;
};

} // namespace

TEST_CASE("R7.1: real memory that was never touched, at either end")
{
    Ends ends;
    // A thread that does not get its processor for milliseconds makes frames look lost, whatever
    // the pages do: it is not so each time.
    std::uint64_t undisturbed = 0;
    for (unsigned round = 0; round < 40 && undisturbed == 0; ++round) {
        const Mapping source(128);
        const Mapping target(128);
        const Mapping back(128);
        const auto content = random_bytes(source.size(), round);
        std::ranges::copy(content, source.at(0));
        const auto before = ends.count("retransmitted") + ends.count("timeouts");
        const auto faults = ends.count("faults");
        CHECK(ends.transfer(Operation::write, source.span(), target.span()) == Status::success);
        CHECK(std::ranges::equal(target.span(), content));
        CHECK(ends.transfer(Operation::read, back.span(), target.span()) == Status::success);
        CHECK(std::ranges::equal(back.span(), content));
        CHECK(ends.count("faults") > faults);
        undisturbed += ends.count("retransmitted") + ends.count("timeouts") == before;
    }
    CHECK(undisturbed == 1);
    CHECK(ends.count("no_room") == 0);
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
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("R7.7: memory that is unmapped under a running write")
{
    constexpr std::size_t pages = 1024, kept = 512;
    constexpr std::size_t frame = 1514; // one that lies across the hole's edge
    int cut = 0;
    for (unsigned round = 0; round < 5; ++round) {
        Ends ends;
        const Mapping source(pages);
        const auto content = random_bytes(source.size(), round);
        std::ranges::copy(content, source.at(0));
        const Mapping target(pages);
        ends.post(Operation::write, source.span(), target.span());
        std::this_thread::sleep_for(std::chrono::microseconds(round * 300));
        target.unmap(kept, pages - kept);
        const auto status = ends.finish();
        CHECK((status == Status::remote_fault || status == Status::success));
        cut += status == Status::remote_fault;
        // What precedes the hole was acknowledged before it was met.
        const auto right = kept * page - frame;
        CHECK(std::ranges::equal(target.span().first(right), std::span(content).first(right)));
    }
    CHECK(cut > 0);
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

namespace {

using Clock = std::chrono::steady_clock;
using Times = std::vector<Clock::duration>;

/// How long messages of a second queue pair take, one after the other.
class Pings {
public:
    explicit Pings(Ends& ends)
        : ends_(ends), queue_(ends.a().device, 1024), pair_(ends.another(queue_))
    {
        here_.touch(0, 1);
        there_.touch(0, 1);
    }
    /// Sorted. \param goes_on  told how many there were
    template <typename Condition>
    [[nodiscard]] Times run(Condition goes_on)
    {
        Times times;
        while (goes_on(times.size())) {
            times.push_back(one());
            std::this_thread::sleep_for(200us);
        }
        std::ranges::sort(times);
        return times;
    }

private:
    [[nodiscard]] Clock::duration one()
    {
        const Segment from = {here_.at(0), 64, ends_.a().region.key()};
        const auto begin = Clock::now();
        REQUIRE(pair_.first.post_send({.operation = Operation::write,
                                       .segments = std::span(&from, 1),
                                       .remote = {reinterpret_cast<std::uintptr_t>(there_.at(0)),
                                                  ends_.b().region.key()}}) == std::errc());
        Completion done;
        REQUIRE(queue_.wait(std::span(&done, 1), soon()) == 1);
        REQUIRE(done.status == Status::success);
        return Clock::now() - begin;
    }

    Ends& ends_;
    CompletionQueue queue_;
    std::pair<QueuePair, QueuePair> pair_;
    const Mapping here_{1}, there_{1};
};

/// The messages while nothing else happens, and those while one queue pair waits for a page.
std::pair<Times, Times> ping_beside_a_fault(int fd)
{
    Ends ends;
    Pings pings(ends);
    const Mapping source(16), target(16);
    const auto content = random_bytes(source.size(), 3);
    std::ranges::copy(content, source.at(0));
    paging::Userfault owner(fd, target.span());
    const auto quiet = pings.run([](std::size_t count) { return count < 500; });
    std::atomic<bool> answered = false;
    std::jthread answering([&](const std::stop_token& stop) {
        while (!stop.stop_requested())
            if (std::byte* const where = owner.wait(50)) {
                if (!answered)
                    std::this_thread::sleep_for(1s);
                answered = true;
                owner.answer(where, std::byte{0});
            }
    });
    ends.post(Operation::write, source.span(), target.span());
    const auto busy = pings.run([&](std::size_t) { return !answered; });
    CHECK(ends.finish() == Status::success);
    CHECK(std::ranges::equal(target.span(), content));
    return {quiet, busy};
}

} // namespace

TEST_CASE("R7.9: while one queue pair waits for a page for a second, another's messages go on")
{
    bool good = false;
    // What else this machine does may hit the one part and not the other: not five times.
    for (int attempt = 0; attempt < 5 && !good; ++attempt) {
        const auto fd = paging::Userfault::open(paging::Userfault::Scope::all);
        if (!fd)
            SKIP("userfaultfd is not permitted here: " << std::strerror(errno));
        const auto [quiet, busy] = ping_beside_a_fault(*fd);
        REQUIRE(busy.size() > 20);
        const auto median = [](const Times& times) { return times[times.size() / 2]; };
        // A copy that meets a page which has just gone waits 20 ms at most.
        good = median(busy) <= std::max<Clock::duration>(2ms, median(quiet) * 3 / 2) &&
               busy.back() <= std::max<Clock::duration>(40ms, quiet.back() * 3 / 2);
        UNSCOPED_INFO("quiet " << median(quiet).count() << " ns, at most " << quiet.back().count()
                               << "; busy " << median(busy).count() << ", at most "
                               << busy.back().count());
    }
    CHECK(good);
}
