// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// On a card's own machine: lib/direct through the windows onto the host's adapter.
#include "tests/guest/direct_rig.hpp"

#include <p2prdma/direct/counter.hpp>
#include <p2prdma/direct/event.hpp>
#include <p2prdma/error.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <memory>
#include <optional>

using namespace direct_rig;
using Clock = Event::Clock;

namespace {

constexpr std::uint32_t send_entries = 16;

QueuePairOptions narrow()
{
    return {.send_entries = send_entries};
}
QueuePairOptions wide()
{
    return {.send_entries = send_entries, .inline_bytes = 80};
}

void write_and_check(Talk& talk, std::uint64_t id, std::uint32_t length, std::uint64_t offset)
{
    REQUIRE(talk.near.qp.post_write(id, talk.peer, talk.near.region.local(offset, length),
                                    talk.far.region.remote(offset)) == Posted::ok);
    const auto completion = talk.near.next();
    CHECK(completion.id == id);
    CHECK(completion.status == Status::ok);
    CHECK(talk.far.read(offset, length) == talk.near.read(offset, length));
}

bool is_error(const std::error_code& code, p2prdma::Errc expected)
{
    return code == p2prdma::make_error_code(expected);
}

} // namespace

TEST_CASE("a session knows its host and adapters")
{
    const auto session = Session::open(0, {.name = "direct_card_test"});
    CHECK(session.alive());
    CHECK_FALSE(session.host().empty());
    CHECK(session.max_memory() > 0);
    const auto adapters = session.adapters();
    REQUIRE(adapters.size() == 1);
    CHECK(adapters[0].cq_in_card);
    CHECK(adapters[0].rdma_read);
    CHECK(adapters[0].rdma_write);
    CHECK(adapters[0].max_inline == 80);
    CHECK_FALSE(adapters[0].reason.empty());
}

TEST_CASE("writes, reads and messages by the card's CPU")
{
    Talk talk(Session::open());
    write_and_check(talk, 7, 5000, 1001);
    REQUIRE(talk.near.qp.post_read(8, talk.peer, talk.near.region.local(30000, 400),
                                   talk.far.region.remote(1003)) == Posted::ok);
    CHECK(talk.near.next().status == Status::ok);
    CHECK(talk.near.read(30000, 400) == talk.far.read(1003, 400));

    REQUIRE(talk.far.qp.post_receive(21, talk.far.region.local(50000, 200)) == Posted::ok);
    REQUIRE(talk.near.qp.post_send(9, talk.peer, talk.near.region.local(0, 150)) == Posted::ok);
    const auto arrival = talk.far.next();
    CHECK(arrival.is_receive);
    CHECK(arrival.id == 21);
    CHECK(arrival.length == 150);
    CHECK(arrival.peer == talk.near.qp.number());
    CHECK(talk.far.read(50000, 150) == talk.near.read(0, 150));
    CHECK(talk.near.next().id == 9);
    CHECK(talk.near.qp.post_receive(1, talk.near.region.local(0, 1)) == Posted::unsupported);
}

TEST_CASE("inline data of both sizes")
{
    const bool is_wide = GENERATE(false, true);
    Talk talk(Session::open(), is_wide ? wide() : narrow());
    const std::uint32_t limit = is_wide ? 80 : 32;
    CHECK(talk.near.qp.max_inline_send() == limit);
    CHECK(talk.near.qp.max_inline_write() == (is_wide ? 80 : 0));
    const auto data = talk.near.read(0, limit + 1);
    const std::span exact(data.data(), limit);
    REQUIRE(talk.far.qp.post_receive(1, talk.far.region.local(100, 200)) == Posted::ok);
    REQUIRE(talk.near.qp.post_send_inline(2, talk.peer, exact) == Posted::ok);
    CHECK(talk.near.next().status == Status::ok);
    CHECK(talk.far.next().length == limit);
    CHECK(std::ranges::equal(talk.far.read(100, limit), exact));
    CHECK(talk.near.qp.post_send_inline(2, talk.peer, data) == Posted::bad_length);
    const auto to = talk.far.region.remote(4001);
    if (!is_wide) {
        CHECK(talk.near.qp.post_write_inline(3, talk.peer, exact, to) == Posted::unsupported);
        return;
    }
    REQUIRE(talk.near.qp.post_write_inline(3, talk.peer, exact, to) == Posted::ok);
    CHECK(talk.near.next().status == Status::ok);
    CHECK(std::ranges::equal(talk.far.read(4001, limit), exact));
}

TEST_CASE("batches, with and without signal; all rings wrap")
{
    Talk talk(Session::open(), narrow());
    auto& qp = talk.near.qp;
    const auto entries = qp.send_entries(); // more than asked for: they fill a page
    REQUIRE(entries <= Side::size / 64);
    for (std::uint64_t round = 0; round < 12; ++round) {
        talk.near.fill(static_cast<unsigned>(round));
        for (std::uint64_t i = 0; i < entries; ++i)
            REQUIRE(qp.add_write(i, talk.peer, talk.near.region.local(i * 64, 64),
                                 talk.far.region.remote(i * 64),
                                 i % 4 == 3 ? Signal::yes : Signal::no) == Posted::ok);
        CHECK(qp.add_write(0, talk.peer, {}, {}) == Posted::full);
        qp.ring();
        for (std::uint64_t i = 0; i < entries / 4; ++i)
            CHECK(talk.near.next().status == Status::ok);
        REQUIRE(qp.send_room() == entries);
        // Those without signal may be under way still.
        const auto end = Clock::now() + patience;
        while (talk.far.read(0, entries * 64) != talk.near.read(0, entries * 64))
            REQUIRE(Clock::now() < end);
    }
    CHECK(talk.near.cq.strays() == 0);
}

TEST_CASE("R2.4 one byte past the end of a region is an error, of either side")
{
    Talk talk(Session::open());
    const Region small(talk.far.session, 0, talk.far.memory, Access::all, 4096, 100);
    REQUIRE(talk.near.qp.post_write(1, talk.peer, talk.near.region.local(0, 101), small.remote()) ==
            Posted::ok);
    CHECK(talk.near.next().status == Status::remote_bad_address);
    REQUIRE(talk.near.qp.post_write(2, talk.peer, talk.near.region.local(Side::size - 7, 8),
                                    small.remote()) == Posted::ok);
    CHECK(talk.near.next().status == Status::bad_local_key);
    auto foreign = talk.near.region.local(0, 8);
    foreign.key ^= 0x400000;
    REQUIRE(talk.near.qp.post_write(3, talk.peer, foreign, small.remote()) == Posted::ok);
    CHECK(talk.near.next().status == Status::bad_local_key);
    REQUIRE(talk.near.qp.post_write(4, talk.peer, talk.near.region.local(0, 100), small.remote()) ==
            Posted::ok);
    CHECK(talk.near.next().status == Status::ok);
    CHECK(talk.far.read(4196, 1)[0] == std::byte{0});
}

TEST_CASE("R6.2 what a write brought is visible after its completion and a flush")
{
    Talk talk(Session::open());
    std::array<std::byte, 8> word{};
    for (unsigned i = 1; i <= 100; ++i) {
        word[0] = static_cast<std::byte>(i);
        talk.near.memory.write(0, word);
        REQUIRE(talk.near.qp.post_write(i, talk.peer, talk.near.region.local(0, 4096),
                                        talk.far.region.remote()) == Posted::ok);
        REQUIRE(talk.near.next().status == Status::ok);
        REQUIRE(talk.near.qp.post_flush(i, talk.peer, talk.near.region.local(60000, 8),
                                        talk.far.region.remote()) == Posted::ok);
        REQUIRE(talk.near.next().status == Status::ok);
        REQUIRE(talk.far.read(0, 8)[0] == static_cast<std::byte>(i));
    }
}

TEST_CASE("R6.1 R6.8 the adapter's own counter raises the event, and no raise is lost")
{
    const auto session = Session::open();
    const bool relayed = GENERATE(false, true);
    Talk talk(session);
    const Event event(session, 0, {.relayed = relayed});
    CHECK(event.is_p2p() == !relayed);
    CHECK(event.reason().empty() == !relayed);
    const Counter counter(session, talk.far.qp, Counted::remote_writes, event);
    const auto before = event.count();
    CHECK(event.wait(before, Clock::now() + std::chrono::milliseconds(50)) == Wakeup::timeout);
    for (unsigned i = 1; i <= 20; ++i) {
        const auto seen = event.count();
        REQUIRE(talk.near.qp.post_write(i, talk.peer, talk.near.region.local(0, 64),
                                        talk.far.region.remote()) == Posted::ok);
        REQUIRE(event.wait(seen, Clock::now() + patience) == Wakeup::raised);
        CHECK(event.value() == i);
        REQUIRE(talk.near.next().status == Status::ok);
    }
    if (!relayed)
        CHECK(event.count() - before == 20);
}

TEST_CASE("R6.8 completions raise the event, by the adapter or the host; a failure does, too",
          "[relay]")
{
    const auto session = Session::open();
    const bool relayed = GENERATE(false, true);
    Talk talk(session);
    const Event event(session, 0, {.relayed = relayed});
    CHECK(event.is_p2p() == (!relayed && talk.near.info.p2p_events));
    CHECK(event.reason().empty() == event.is_p2p());
    const Counter counter(session, talk.near.qp, Counted::writes, event);
    const Region small(session, 0, talk.far.memory, Access::all, 4096, 100);
    const auto post = [&](std::uint32_t length) {
        const auto seen = event.count();
        REQUIRE(talk.near.qp.post_write(1, talk.peer, talk.near.region.local(0, length),
                                        small.remote()) == Posted::ok);
        const auto status = talk.near.next().status;
        CHECK(event.wait(seen, Clock::now() + patience) == Wakeup::raised);
        return status;
    };
    const auto has_value = [&](std::uint64_t value) {
        return event.wait_until(Clock::now() + patience, [&] { return event.value() == value; }) ==
               Wakeup::raised;
    };
    for (unsigned i = 1; i <= 5; ++i) {
        CHECK(post(64) == Status::ok);
        CHECK(has_value(i));
    }
    CHECK(post(101) == Status::remote_bad_address);
    CHECK(event.value() == 5); // completions, not failures
    CHECK(post(101) == Status::remote_bad_address);
    CHECK(event.value() == 5);
    CHECK(post(64) == Status::ok);
    CHECK(has_value(6));
}

TEST_CASE("R6.8 R6.3 who sleeps on an event is woken for each message, in any pass of the queue",
          "[relay]")
{
    const auto session = Session::open();
    Talk talk(session);
    const Event event(session, 0);
    INFO(event.reason());
    const Counter counter(session, talk.far.qp, Counted::receives, event);
    const auto patient = [&] { return Clock::now() + patience; };
    for (std::uint32_t i = 1; i <= 300; ++i) { // the queue has 128 entries
        REQUIRE(talk.far.qp.post_receive(i, talk.far.region.local(0, 64)) == Posted::ok);
        REQUIRE(talk.near.qp.post_send(i, talk.peer, talk.near.region.local(0, 32)) == Posted::ok);
        Completion arrival;
        REQUIRE(event.wait_until(patient(), [&] { return talk.far.cq.poll(arrival); }) ==
                Wakeup::raised);
        CHECK(arrival.id == i);
        CHECK(talk.near.next().status == Status::ok);
    }
}

TEST_CASE("an adapter without counters says so, and what it does not report is refused",
          "[.no-counters]")
{
    const auto session = Session::open();
    Talk talk(session);
    CHECK_FALSE(talk.near.info.counters);
    CHECK_FALSE(talk.near.info.p2p_events);
    CHECK(talk.near.info.cq_in_card);
    CHECK(talk.near.info.reason.find("no completion counters") != std::string::npos);
    const Event event(session, 0);
    CHECK(event.reason().find("no completion counters") != std::string::npos);
    const auto refused = [&](std::uint32_t operations) {
        try {
            const Counter counter(session, talk.near.qp, operations, event);
        } catch (const p2prdma::Error& error) {
            return is_error(error.code(), p2prdma::Errc::unsupported);
        }
        return false;
    };
    CHECK(refused(Counted::remote_writes));
    CHECK(refused(Counted::remote_reads | Counted::writes));
    CHECK_THROWS_AS(Counter(session, talk.near.qp, Counted::writes, talk.near.memory, 0),
                    p2prdma::Error);
    const Counter counter(session, talk.near.qp, Counted::writes, event);
    CHECK_THROWS_AS(Counter(session, talk.near.qp, Counted::writes | Counted::reads, event),
                    p2prdma::Error); // one for each operation
}

TEST_CASE("an event is a target of writes; a counter may count into memory")
{
    const auto session = Session::open();
    Talk talk(session);
    const Event event(session, 0);
    const Region page(session, 0, event);
    const Counter counter(session, talk.near.qp, Counted::writes, talk.near.memory, 40960);
    const auto seen = event.count();
    REQUIRE(talk.near.qp.post_write(1, talk.peer, talk.near.region.local(0, 8), page.remote()) ==
            Posted::ok);
    REQUIRE(event.wait(seen, Clock::now() + patience) == Wakeup::raised);
    CHECK(event.count() == seen + 1);
    REQUIRE(talk.near.next().status == Status::ok);
    const auto end = Clock::now() + patience;
    while (talk.near.read(40960, 1)[0] != std::byte{1} && Clock::now() < end) {
    }
    CHECK(talk.near.read(40960, 8)[0] == std::byte{1});
}

TEST_CASE("objects may go in any order")
{
    std::optional<Session> session(Session::open());
    auto memory = std::make_unique<Memory>(*session, 4096);
    auto region = std::make_unique<Region>(*session, 0, *memory, Access::all);
    auto cq = std::make_unique<CompletionQueue>(*session, 0, 64);
    auto qp = std::make_unique<QueuePair>(*session, 0, *cq);
    auto event = std::make_unique<Event>(*session, 0);
    auto counter = std::make_unique<Counter>(*session, *qp, Counted::writes, *event);
    CHECK_THROWS_AS(QueuePair(*session, 0, *cq), p2prdma::Error); // no completions left for it
    memory.reset();
    counter.reset();
    event.reset();
    cq.reset();
    session.reset();
    qp.reset();
    region.reset();
    // All is given back: as much again can be had, over and over.
    const auto next = Session::open();
    for (int i = 0; i < 20; ++i) {
        const Talk talk(next);
        const Memory half(next, next.max_memory() / 2);
    }
}

TEST_CASE("what cannot be is refused in a sentence")
{
    const auto session = Session::open();
    const Memory memory(session, 4096);
    const auto code = [](auto make) -> std::error_code {
        try {
            make();
        } catch (const p2prdma::Error& error) {
            INFO(error.what());
            return error.code();
        }
        return {};
    };
    using p2prdma::Errc;
    CHECK(is_error(code([&] { Memory(session, 0); }), Errc::bad_argument));
    CHECK(is_error(code([&] { Memory(session, 1ull << 50); }), Errc::card_full));
    CHECK(is_error(code([&] { Region(session, 0, memory, 1, 4000, 100); }), Errc::bad_argument));
    CHECK(is_error(code([&] { Region(session, 9, memory, 1); }), Errc::bad_argument));
    CHECK(is_error(code([&] { CompletionQueue(session, 0, 0); }), Errc::bad_argument));
}
