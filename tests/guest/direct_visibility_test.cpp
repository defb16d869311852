// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// When what an adapter wrote into a card is visible there (R6.2). Two adapters; the lab keeps what
// the second one writes into cards on its way for a while: in order [late], or so that short
// writes, as those of completions and counters, overtake long ones [overtaken].
#include "tests/guest/direct_rig.hpp"

#include <catch2/catch_test_macros.hpp>
#include <p2prdma/direct/counter.hpp>
#include <p2prdma/direct/event.hpp>

#include <span>

using namespace direct_rig;
using Clock = Event::Clock;

namespace {

constexpr unsigned rounds = 10;
constexpr std::uint32_t length = 4096; // longer than what overtakes

/// A queue pair of the first adapter that writes through the second one.
struct Late {
    Session session = Session::open();
    Side near{session, {}, 0};
    Side far{session, {.receive_entries = 16}, 1};
    AddressHandle handle{session, 0, far.info.gid};
    AddressHandle back{session, 1, near.info.gid};
    Peer peer{handle.number(), far.qp.number(), far.qp.key()};

    void write(unsigned number)
    {
        near.fill(number);
        REQUIRE(near.qp.post_write(number, peer, near.region.local(0, length),
                                   far.region.remote()) == Posted::ok);
    }
    void send(unsigned number)
    {
        near.fill(number);
        REQUIRE(far.qp.post_receive(number, far.region.local(0, length)) == Posted::ok);
        REQUIRE(near.qp.post_send(number, peer, near.region.local(0, length)) == Posted::ok);
    }
    /// By the queue pair that wrote: the second adapter reads, which pushes.
    void flush()
    {
        REQUIRE(near.qp.post_flush(0, peer, near.region.local(Side::size - 8, 8),
                                   far.region.remote()) == Posted::ok);
        REQUIRE(near.next().status == Status::ok);
    }
    [[nodiscard]] bool visible(unsigned number) const
    {
        const auto bytes = far.read(0, length);
        for (std::size_t i = 0; i < length; ++i) {
            if (bytes[i] != Side::pattern(i, number))
                return false;
        }
        return true;
    }
    void complete() { REQUIRE(near.next().status == Status::ok); }
    /// Has the queue pair that writes write a number to a doorbell page, and waits for the event.
    void announce(unsigned number, const Region& page, const Event& event)
    {
        const std::uint64_t word = number;
        near.memory.write(length, std::as_bytes(std::span(&word, 1)));
        REQUIRE(near.qp.post_write(number, peer, near.region.local(length, sizeof(word)),
                                   page.remote()) == Posted::ok);
        REQUIRE(event.wait_until(Clock::now() + patience,
                                 [&] { return event.value() == number; }) == Wakeup::raised);
    }
};

} // namespace

TEST_CASE("R6.2 a completion alone does not tell that its data is visible; a flush does", "[late]")
{
    Late late;
    unsigned stale = 0;
    for (unsigned i = 1; i <= rounds; ++i) {
        late.write(i);
        late.complete();
        stale += late.visible(i) ? 0 : 1;
        late.flush();
        REQUIRE(late.visible(i));
    }
    CHECK(stale == rounds); // else nothing was late, and the flush proves nothing
}

TEST_CASE("R6.2 the receiver's own completion comes behind its data", "[late]")
{
    Late late;
    for (unsigned i = 1; i <= rounds; ++i) {
        late.send(i);
        REQUIRE(late.far.next().status == Status::ok);
        REQUIRE(late.visible(i));
        late.complete();
    }
}

TEST_CASE("R6.2 an interrupt of the receiver's own counter comes behind its data", "[late]")
{
    Late late;
    const Event event(late.session, 1);
    REQUIRE(event.is_p2p());
    const Counter counter(late.session, late.far.qp, Counted::remote_writes, event);
    for (unsigned i = 1; i <= rounds; ++i) {
        late.write(i);
        REQUIRE(event.wait_until(Clock::now() + patience, [&] { return event.value() == i; }) ==
                Wakeup::raised);
        REQUIRE(late.visible(i));
        late.complete();
    }
}

TEST_CASE("R6.2 R6.8 an event that the host relays may come before the data; a flush helps",
          "[late]")
{
    Late late;
    const Event event(late.session, 1, {.relayed = true});
    const Counter counter(late.session, late.far.qp, Counted::remote_writes, event);
    unsigned stale = 0;
    for (unsigned i = 1; i <= rounds; ++i) {
        late.write(i);
        REQUIRE(event.wait_until(Clock::now() + patience, [&] { return event.value() == i; }) ==
                Wakeup::raised);
        stale += late.visible(i) ? 0 : 1;
        late.complete();
        late.flush();
        REQUIRE(late.visible(i));
    }
    CHECK(stale > 0);
}

TEST_CASE("R6.1 R6.2 who is woken by a write to a doorbell page behind a flush sees the data",
          "[late][overtaken]")
{
    Late late;
    const Event event(late.session, 1);
    REQUIRE(event.is_p2p());
    const Region page(late.session, 1, event);
    for (unsigned i = 1; i <= rounds; ++i) {
        late.write(i);
        late.complete();
        late.flush();
        late.announce(i, page, event);
        REQUIRE(late.visible(i));
        late.complete();
    }
}

TEST_CASE("R6.1 R6.2 without the flush a write to a doorbell page wakes too early", "[overtaken]")
{
    Late late;
    const Event event(late.session, 1);
    const Region page(late.session, 1, event);
    unsigned stale = 0;
    for (unsigned i = 1; i <= rounds; ++i) {
        late.write(i);
        late.complete();
        late.announce(i, page, event);
        stale += late.visible(i) ? 0 : 1;
        late.complete();
        late.flush();
    }
    CHECK(stale == rounds);
}

TEST_CASE("R6.2 these tests see it when an adapter breaks the order", "[overtaken]")
{
    Late late;
    const Event event(late.session, 1);
    const Counter counter(late.session, late.far.qp, Counted::remote_writes, event);
    unsigned stale = 0;
    for (unsigned i = 1; i <= rounds; ++i) {
        late.write(i);
        REQUIRE(event.wait_until(Clock::now() + patience, [&] { return event.value() == i; }) ==
                Wakeup::raised);
        stale += late.visible(i) ? 0 : 1;
        late.complete();
        late.flush();
    }
    CHECK(stale == rounds);
}
