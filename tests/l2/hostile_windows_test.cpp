// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/receive_window.hpp"
#include "lib/l2/send_window.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <random>
#include <vector>

using namespace p2prdma::l2;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

namespace {

/// Near the numbers that mean something, or anywhere.
std::uint32_t some_psn(std::mt19937_64& random, std::uint32_t near)
{
    const auto far = random() % 4 == 0 ? random() : random() % 64;
    return (near + static_cast<std::uint32_t>(far) - 16) & wire::psn_mask;
}

wire::Fault some_fault(std::mt19937_64& random, std::uint32_t near)
{
    return {.kind = static_cast<wire::FaultKind>(random() % 6),
            .epoch = static_cast<std::uint8_t>(random()),
            .psn = some_psn(random, near),
            .estimate = static_cast<std::uint32_t>(random()),
            .buffered = static_cast<std::uint32_t>(random()),
            .window = static_cast<std::uint32_t>(random())};
}

void attack(SendWindow& window, std::mt19937_64& random, Time now)
{
    wire::Sack sack(random());
    sack <<= random() % 256;
    const wire::Ack ack = {.next = some_psn(random, window.unacknowledged())};
    switch (random() % 4) {
    case 0:
        (void)window.fault(some_fault(random, window.unacknowledged()), now);
        break;
    case 1:
        (void)window.not_ready(some_psn(random, window.unacknowledged()),
                               Time(static_cast<Time::rep>(random() % 5'000'000'000)), now);
        break;
    default:
        (void)window.acknowledged(ack, random() % 2 == 0 ? &sack : nullptr, random() % 2 == 0, now);
        break;
    }
}

} // namespace

TEST_CASE("SendWindow: whatever a peer says, it stays consistent and within its limits")
{
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        std::mt19937_64 random(seed);
        SendWindow window({.first_psn = static_cast<std::uint32_t>(random()), .frames = 128});
        Time now{};
        for (int i = 0; i < 2000 && window.failure() == SendWindow::Failure::none; ++i) {
            now += microseconds(random() % 300);
            attack(window, random, now);
            const auto next = window.next(now, true, 1514);
            if (next == SendWindow::Next::fresh)
                (void)window.sent({}, 1514, now);
            else if (next == SendWindow::Next::again)
                REQUIRE(window.cookie(window.frame_again(now).psn).has_value());
            else if (next == SendWindow::Next::probe)
                (void)window.probe_sent(now);
            REQUIRE(window.under_way() <= 128);
            REQUIRE(window.heap_bytes() <= 8192);
        }
    }
}

TEST_CASE("SendWindow: what was never sent cannot be acknowledged")
{
    SendWindow window({.first_psn = 100});
    for (int i = 0; i < 5; ++i) {
        REQUIRE(window.next(Time::zero(), true, 64) == SendWindow::Next::fresh);
        (void)window.sent({}, 64, Time::zero());
    }
    CHECK_FALSE(window.acknowledged({.next = 106}, nullptr, false, Time(1)));
    wire::Sack sack;
    sack.set(4); // psn 105
    CHECK_FALSE(window.acknowledged({.next = 100}, &sack, false, Time(1)));
    CHECK_FALSE(window.fault({.psn = 106}, Time(1)));
    CHECK_FALSE(window.not_ready(105, Time(1), Time(1)));
    CHECK(window.under_way() == 5);
    sack.reset();
    sack.set(3);
    CHECK(window.acknowledged({.next = 100}, &sack, false, Time(1)));
    CHECK(window.acknowledged({.next = 105}, nullptr, false, Time(2)));
    CHECK(window.under_way() == 0);
}

TEST_CASE("SendWindow: a peer that is silent is given up, and in bounded time")
{
    SendWindow window({});
    REQUIRE(window.next(Time::zero(), true, 64) == SendWindow::Next::fresh);
    (void)window.sent({}, 64, Time::zero());
    Time now{};
    while (window.failure() == SendWindow::Failure::none) {
        REQUIRE(now < milliseconds(1000));
        now = window.deadline();
        if (window.next(now, false, 0) == SendWindow::Next::again)
            (void)window.frame_again(now);
    }
    CHECK(window.failure() == SendWindow::Failure::retry_exceeded);
    CHECK(window.counters().timeouts == 7);
    CHECK(window.counters().tail_probes == 1);
}

TEST_CASE(
    "R3.10: SendWindow: a silence shorter than its patience is survived, whatever the retries")
{
    SendWindow window({.retries = 2, .patience = milliseconds(3000)});
    REQUIRE(window.next(Time::zero(), true, 64) == SendWindow::Next::fresh);
    (void)window.sent({}, 64, Time::zero());
    Time now{};
    while (window.failure() == SendWindow::Failure::none) {
        REQUIRE(now < milliseconds(4000));
        now = window.deadline();
        if (window.next(now, false, 0) == SendWindow::Next::again)
            (void)window.frame_again(now);
    }
    CHECK(now >= milliseconds(3000));
    CHECK(window.counters().timeouts < 20); // it does not flood a peer that cannot hear
}

TEST_CASE("SendWindow: idle it has no memory after a while; both halves stay small")
{
    SendWindow window({});
    REQUIRE(window.next(Time::zero(), true, 64) == SendWindow::Next::fresh);
    (void)window.sent({}, 64, Time::zero());
    CHECK(window.heap_bytes() > 0);
    REQUIRE(window.acknowledged({.next = 1}, nullptr, false, Time(10)));
    (void)window.next(window.deadline(), false, 0);
    CHECK(window.heap_bytes() == 0);
    CHECK(window.deadline() == Time::max());
    CHECK(sizeof(SendWindow) + sizeof(ReceiveWindow) <= 700);
}

TEST_CASE("SendWindow: receivers that are not ready are tried so often, or for ever")
{
    for (const auto retries : {std::uint8_t{2}, std::uint8_t{7}}) {
        SendWindow window({.rnr_retries = retries});
        REQUIRE(window.next(Time::zero(), true, 64) == SendWindow::Next::fresh);
        (void)window.sent({}, 64, Time::zero());
        Time now{};
        for (int i = 0; i < 20 && window.failure() == SendWindow::Failure::none; ++i) {
            REQUIRE(window.not_ready(0, microseconds(100), now));
            CHECK(window.next(now, true, 64) == SendWindow::Next::nothing);
            now += microseconds(100);
            if (window.next(now, true, 64) == SendWindow::Next::again)
                (void)window.frame_again(now);
        }
        CHECK((window.failure() == SendWindow::Failure::rnr_retry_exceeded) == (retries == 2));
        CHECK(window.counters().rnr_waits == (retries == 2 ? 2 : 20));
    }
}

TEST_CASE("ReceiveWindow: whatever comes, no more memory than agreed, and all of it given back")
{
    const std::vector<std::byte> frame(1514);
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        std::mt19937_64 random(seed);
        BufferBudget budget(30'000);
        {
            ReceiveWindow window({.buffer_limit = 20'000, .fault_delay = seed % 4 != 0}, budget);
            Time now{};
            for (int i = 0; i < 1000; ++i) {
                now += microseconds(random() % 300);
                const wire::Header header = {.flags = static_cast<std::uint8_t>(random()),
                                             .psn = some_psn(random, window.next())};
                auto process =
                    window.arrived(header, frame, now) == ReceiveWindow::Arrival::process;
                for (; process; process = window.held().has_value()) {
                    if (random() % 8 == 0)
                        (void)window.stall(frame, static_cast<std::uint32_t>(random()), now);
                    else if (random() % 8 == 0)
                        window.not_ready(5, now);
                    else
                        window.processed(true, false, now);
                    if (random() % 4 == 0)
                        break;
                }
                if (random() % 4 == 0)
                    window.resolved(now);
                if (window.ack_due(now))
                    (void)window.report(now);
                REQUIRE(window.buffered() <= 20'000);
            }
            if (seed % 2 == 0)
                window.refuse(wire::Syndrome::access, now);
        }
        REQUIRE(budget.used() == 0);
    }
}

TEST_CASE("ReceiveWindow: after a refusal nothing is taken, and the nak is repeated")
{
    BufferBudget budget(100'000);
    ReceiveWindow window({}, budget);
    const std::vector<std::byte> frame(100);
    REQUIRE(window.arrived({.psn = 0}, frame, Time(0)) == ReceiveWindow::Arrival::process);
    window.refuse(wire::Syndrome::access, Time(0));
    for (int i = 0; i < 3; ++i) {
        REQUIRE(window.ack_due(Time(1)));
        const auto report = window.report(Time(1));
        CHECK(report.ack.syndrome == wire::Syndrome::access);
        CHECK(report.ack.next == 0);
        CHECK_FALSE(window.ack_due(Time(1)));
        CHECK(window.arrived({.psn = 0}, frame, Time(2)) == ReceiveWindow::Arrival::dropped);
    }
}

TEST_CASE("SendWindow: a peer may be stalled anywhere: its frames are not ours")
{
    SendWindow window({.first_psn = 100});
    for (const std::uint32_t psn : {0U, 99U, 100U, 101U, 5000U, 0xff0000U})
        CHECK(window.fault({.kind = wire::FaultKind::stall, .psn = psn, .estimate = 50}, Time(1)));
    CHECK_FALSE(window.fault({.kind = wire::FaultKind::delay, .psn = 5000}, Time(1)));
    CHECK_FALSE(window.peer_faulting());
}

TEST_CASE("SendWindow: a page that the peer waits for without end ends the connection")
{
    SendWindow window({.first_psn = 100});
    REQUIRE(window.next(Time(0), true, 1000) == SendWindow::Next::fresh);
    (void)window.sent({}, 1000, Time(0));
    const bool resumes = GENERATE(false, true); // in between, though nothing is processed
    std::uint8_t epoch = 0;
    constexpr std::uint32_t estimate = 100'000;
    Time now(0);
    while (window.failure() == SendWindow::Failure::none && now < 20s) {
        now += 50ms;
        wire::Fault fault = {.epoch = epoch, .psn = 100, .estimate = estimate};
        if (resumes) {
            fault.kind = wire::FaultKind::resume;
            (void)window.fault(fault, now);
            fault.epoch = ++epoch;
        }
        fault.kind = wire::FaultKind::delay;
        REQUIRE(window.fault(fault, now));
        (void)window.next(now, false, 0);
    }
    CHECK(window.failure() == SendWindow::Failure::remote_fault);
    CHECK(now >= 5s);
    CHECK(now <= 5300ms); // T_max, and one estimate
}

TEST_CASE("SendWindow: pages may take long one after the other")
{
    SendWindow window({.first_psn = 100});
    Time now(0);
    for (std::uint32_t psn = 100; psn < 110; ++psn) {
        REQUIRE(window.next(now, true, 1000) == SendWindow::Next::fresh);
        (void)window.sent({}, 1000, now);
        for (int i = 0; i < 80; ++i, now += 50ms) {
            REQUIRE(window.fault(
                {.epoch = static_cast<std::uint8_t>(psn), .psn = psn, .estimate = 100'000}, now));
            (void)window.next(now, false, 0);
        }
        REQUIRE(window.acknowledged({.next = psn + 1}, nullptr, false, now));
    }
    CHECK(window.failure() == SendWindow::Failure::none);
}
