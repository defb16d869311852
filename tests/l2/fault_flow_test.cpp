// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What engines do while a page is brought, in virtual time.
#include "tests/l2/fault_rig.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

constexpr Time round_trip = 4 * link_delay; // two cables each way

} // namespace

TEST_CASE("R7.1: a minor fault costs no retransmission, no frame and no retry")
{
    FaultRig rig({.shortest = 300us, .longest = 300us});
    rig.absent_at_b(3, 1);
    CHECK(rig.write() == Status::success);
    CHECK(rig.target_is_source());
    CHECK(rig.count(Counter::retransmitted) == 0);
    CHECK(rig.count(Counter::timeouts) == 0);
    CHECK(rig.count(Counter::no_room) == 0);
    CHECK(rig.count(Counter::receiver_not_ready) == 0);
    CHECK(rig.b().engine->counters()[Counter::faults] == 1);
    CHECK(rig.world.network.counters().overflowed == 0);
    CHECK(rig.b().pager.counters().absent_touched == 0);
    CHECK(rig.write() == Status::success); // the queue pair lives
}

TEST_CASE("R7.2: a fault longer than many timeouts costs no retransmission")
{
    const Time fault = GENERATE(Time(10ms), Time(1s), Time(4s));
    const double factor = GENERATE(1.0, 0.1);
    FaultRig rig({.shortest = fault, .longest = fault, .estimate_factor = factor});
    const Time undisturbed = rig.time_write();
    rig.absent_at_b(3, 1);
    const Time begin = rig.world.now;
    CHECK(rig.write() == Status::success);
    CHECK(rig.world.now - begin <= fault + undisturbed + 2 * round_trip + 50us);
    CHECK(rig.world.now - begin >= fault);
    CHECK(rig.target_is_source());
    CHECK(rig.count(Counter::retransmitted) == 0);
    CHECK(rig.count(Counter::timeouts) == 0);
}

TEST_CASE("R7.2: the same for a read, whose pages are absent at either end")
{
    const Time fault = GENERATE(Time(10ms), Time(4s));
    const bool initiator = GENERATE(true, false);
    FaultRig rig({.shortest = fault, .longest = fault});
    if (initiator)
        rig.absent_at_a(3, 1);
    else
        rig.absent_at_b(3, 1);
    const Time begin = rig.world.now;
    CHECK(rig.read() == Status::success);
    CHECK(rig.target_is_source());
    CHECK(rig.world.now - begin >= fault);
    CHECK(rig.world.now - begin <= fault + 2 * round_trip + 250us);
    CHECK(rig.count(Counter::retransmitted) == 0);
    CHECK(rig.count(Counter::timeouts) == 0);
    CHECK(rig.a().pager.counters().absent_touched == 0);
    CHECK(rig.b().pager.counters().absent_touched == 0);
}

TEST_CASE("R7.2: a sender whose own page is absent sends nothing twice, and its peer does not mind")
{
    const Time fault = GENERATE(Time(10ms), Time(4s));
    FaultRig rig({.shortest = fault, .longest = fault});
    rig.absent_at_a(5, 2);
    CHECK(rig.write() == Status::success);
    CHECK(rig.target_is_source());
    CHECK(rig.count(Counter::retransmitted) == 0);
}

TEST_CASE("R7.3: with frames of all kinds lost, all arrives while pages come and go")
{
    const auto seed = GENERATE(Catch::Generators::range(1U, 41U));
    FaultRig rig({.seed = seed,
                  .absent = 0.3,
                  .shortest = 20us,
                  .longest = 3ms,
                  .estimate_factor = seed % 3 == 0   ? 0.1
                                     : seed % 3 == 1 ? 1
                                                     : 10,
                  .vanish_interval = 200us},
                 seed);
    rig.lose(0.1);
    rig.track_all();
    for (int i = 0; i < 3; ++i) {
        CHECK(rig.write() == Status::success);
        CHECK(rig.target_is_source());
        CHECK(rig.read() == Status::success);
        CHECK(rig.target_is_source());
    }
    CHECK(rig.a().pager.counters().absent_touched == 0);
    CHECK(rig.b().pager.counters().absent_touched == 0);
    CHECK(rig.a().pager.counters().bad_tokens == 0);
    CHECK(rig.b().pager.counters().bad_tokens == 0);
}

TEST_CASE("R7.4: while a page is brought, no more is sent than was said to fit, and all of it fits")
{
    DeviceOptions options;
    options.fault_buffer = 16 * 1024; // B
    FaultRig rig({.shortest = 10ms, .longest = 10ms}, 1, options, options, true, 256);
    rig.absent_at_b(0, 1);
    constexpr Time on_its_way = round_trip / 2 + 1us; // of what the peer says
    Time told_at = Time::max();
    std::uint64_t told = 0, sent = 0, sent_in_all = 0;
    bool resumed = false;
    std::vector<std::uint64_t> beyond; // what was sent since the peer was told, and said
    rig.world.network.watch([&](const Network::Entering& entering) {
        const auto frame = parsed(entering.bytes);
        if (&entering.from == rig.a().port.get()) {
            if (told_at != Time::max() && entering.time >= told_at + on_its_way && !resumed) {
                sent += entering.bytes.size();
                sent_in_all += entering.bytes.size();
            }
            return;
        }
        if (!frame.fault)
            return;
        if (sent > told)
            beyond.push_back(sent - told);
        resumed = resumed || frame.fault->kind == wire::FaultKind::resume;
        told_at = entering.time;
        told = frame.fault->window;
        sent = 0;
    });
    rig.post_short_write(64); // so that there is next to nothing under way when the page is missed
    rig.world.run_for(1ms);
    REQUIRE(rig.count(Counter::fault_delays) == 1);
    std::size_t most_held = 0;
    rig.post_write(); // 1 MiB
    REQUIRE(rig.world.run([&] {
        most_held = std::max(most_held, rig.b().engine->bytes_held());
        return rig.pair.a.poll() == 2;
    }));
    CHECK(rig.pair.a.completions.back().status == Status::success);
    CHECK(rig.target_is_source());
    CAPTURE(sent_in_all, most_held);
    REQUIRE(resumed);
    CHECK(beyond.empty());
    CHECK(sent_in_all > options.fault_buffer / 4); // what room there is is used
    CHECK(sent_in_all < options.fault_buffer);
    CHECK(most_held > options.fault_buffer / 4);
    CHECK(most_held <= options.fault_buffer);
    CHECK(rig.count(Counter::no_room) == 0);
    CHECK(rig.count(Counter::retransmitted) == 0);
}

TEST_CASE("R7.4: what is under way when a page is missed, and does not fit, comes again in time")
{
    DeviceOptions options;
    options.fault_buffer = 16 * 1024;
    FaultRig rig({.shortest = 10ms, .longest = 10ms}, 1, options, options, true, 256);
    rig.absent_at_b(200, 1); // the window is open by then
    std::size_t most_held = 0;
    rig.post_write();
    REQUIRE(rig.world.run([&] {
        most_held = std::max(most_held, rig.b().engine->bytes_held());
        return rig.pair.a.poll() == 1;
    }));
    CHECK(rig.pair.a.completions.back().status == Status::success);
    CHECK(rig.target_is_source());
    CHECK(most_held <= options.fault_buffer);
    CHECK(rig.count(Counter::no_room) > 0);
    CHECK(rig.count(Counter::timeouts) == 0);
}

TEST_CASE("R7.1, R7.2: a message of 4 MiB, four times what may be held, and nothing is sent again")
{
    const Time fault = GENERATE(Time(300us), Time(10ms), Time(4s));
    FaultRig rig({.shortest = fault, .longest = fault}, 1, {}, {}, true, 1024);
    rig.absent_at_b(3, 1);
    CHECK(rig.write() == Status::success);
    CHECK(rig.target_is_source());
    CHECK(rig.count(Counter::retransmitted) == 0);
    CHECK(rig.count(Counter::timeouts) == 0);
    CHECK(rig.count(Counter::no_room) == 0);
}

TEST_CASE("R7.6: an estimate that is wrong by ten costs one frame")
{
    const Time fault = 5ms;
    const double factor = GENERATE(0.1, 10.0);
    FaultRig right({.shortest = fault, .longest = fault});
    FaultRig wrong({.shortest = fault, .longest = fault, .estimate_factor = factor});
    for (auto* rig : {&right, &wrong}) {
        rig->absent_at_b(3, 1);
        CHECK(rig->write() == Status::success);
        CHECK(rig->count(Counter::retransmitted) == 0);
    }
    CHECK(wrong.count(Counter::fault_probes) <= 1);
    CHECK(wrong.world.network.counters().sent <= right.world.network.counters().sent + 1);
}

TEST_CASE("R7.7: memory that is not mapped ends the request, and nothing is held any more")
{
    FaultRig rig({});
    rig.set_b(3, 1, SimulatedPager::Page::unmapped);
    const Time begin = rig.world.now;
    CHECK(rig.write() == Status::remote_fault);
    CHECK(rig.world.now - begin < 10ms);
    CHECK(rig.b().engine->counters()[Counter::fault_aborts] == 1);
    rig.check_freed();
}

TEST_CASE("R7.7: a page that never comes ends the request within the limit")
{
    const bool by_pager = GENERATE(true, false); // else the engine's own limit has to do it
    const bool reading = GENERATE(true, false);
    FaultRig rig({.fault_limit = by_pager ? Time(5s) : Time(3600s)});
    rig.set_b(3, 1, SimulatedPager::Page::unanswered);
    const Time begin = rig.world.now;
    CHECK((reading ? rig.read() : rig.write()) == Status::remote_fault);
    CHECK(rig.world.now - begin >= 4900ms);
    CHECK(rig.world.now - begin <= 5100ms);
    rig.check_freed();
}

TEST_CASE("R7.7: the same at the end that asked")
{
    const auto page = GENERATE(SimulatedPager::Page::unmapped, SimulatedPager::Page::unanswered);
    const bool reading = GENERATE(true, false);
    FaultRig rig({.fault_limit = 5s});
    rig.set_a(3, 1, page);
    const Time begin = rig.world.now;
    CHECK((reading ? rig.read() : rig.write()) == Status::local_fault);
    CHECK(rig.world.now - begin <= 5100ms);
    rig.check_freed();
}

TEST_CASE("R7.8: pages that go again in the middle of a message")
{
    FaultRig rig({.absent = 0.5, .shortest = 5us, .longest = 500us, .vanish_interval = 3us});
    rig.track_all();
    for (int i = 0; i < 5; ++i) {
        CHECK(rig.write() == Status::success);
        CHECK(rig.target_is_source());
        CHECK(rig.read() == Status::success);
        CHECK(rig.target_is_source());
    }
    CHECK(rig.b().pager.counters().vanished > 100);
    CHECK(rig.b().pager.counters().absent_touched == 0);
    // A page that goes again at once makes frames of the fault before look lost, now and then.
    CHECK(rig.count(Counter::retransmitted) * 10 <= rig.count(Counter::faults));
    CHECK(rig.count(Counter::timeouts) == 0);
}

TEST_CASE("R7.9: while one queue pair faults for a second, others are as fast as before")
{
    FaultRig rig({.shortest = 1s, .longest = 1s});
    Pair other(rig.world, rig.a(), rig.b());
    auto bytes = pattern(64);
    std::vector<std::byte> there(64);
    const auto key = other.a.add_region(bytes);
    const auto there_key = other.b.add_region(there);
    std::vector<Time> quiet;
    std::vector<Time> busy;
    const auto ping = [&](std::vector<Time>& times) {
        const auto from = segment(bytes, key);
        const Time begin = rig.world.now;
        REQUIRE(other.a.post({.operation = Operation::write,
                              .segments = std::span(&from, 1),
                              .remote = remote(there, there_key)}) == std::errc());
        REQUIRE(other.run(quiet.size() + busy.size() + 1, 0));
        times.push_back(rig.world.now - begin);
    };
    for (int i = 0; i < 500; ++i)
        ping(quiet);
    rig.absent_at_b(3, 1);
    rig.post_write();
    rig.world.run_for(1ms);
    for (int i = 0; i < 500; ++i)
        ping(busy);
    REQUIRE(rig.b().pager.pending() == 1); // it still waits
    const auto p99 = [](std::vector<Time>& times) {
        std::sort(times.begin(), times.end());
        return times[times.size() * 99 / 100];
    };
    CHECK(p99(busy) <= p99(quiet) * 11 / 10);
    CHECK(rig.finish() == Status::success);
}

TEST_CASE("R7.10: a peer without the feature is served under RNR rules")
{
    DeviceOptions plain;
    plain.faults = FaultMode::rnr;
    const bool at_a = GENERATE(true, false);
    FaultRig rig({.shortest = 2ms, .longest = 2ms}, 1, at_a ? plain : DeviceOptions{},
                 at_a ? DeviceOptions{} : plain);
    rig.absent_at_b(3, 1);
    CHECK(rig.write() == Status::success);
    CHECK(rig.target_is_source());
    CHECK(rig.count(Counter::fault_delays) == 0);
    CHECK(rig.count(Counter::receiver_not_ready) > 0);
    rig.absent_at_a(2, 1);
    rig.absent_at_b(9, 1);
    CHECK(rig.read() == Status::success);
    CHECK(rig.target_is_source());
    // The one that can still agrees on it with others that can.
    auto& third = rig.world.add();
    Pair able(rig.world, at_a ? rig.b() : rig.a(), third);
    CHECK(able.a.connection->handshake().agreed(wire::feature_fault_delay));
    CHECK_FALSE(rig.pair.a.connection->handshake().agreed(wire::feature_fault_delay));
}

TEST_CASE("R7.11: without faults, implicit memory costs no frame")
{
    FaultRig implicit({.absent = 0});
    FaultRig explicit_({.absent = 0}, 1, {}, {}, false);
    implicit.track_all();
    for (auto* rig : {&implicit, &explicit_}) {
        CHECK(rig->write() == Status::success);
        CHECK(rig->read() == Status::success);
    }
    CHECK(implicit.world.network.counters().sent == explicit_.world.network.counters().sent);
    CHECK(implicit.world.now == explicit_.world.now);
}

TEST_CASE("R7.11: all pages of a message absent is one fault, where they come quickly")
{
    const bool quickly = GENERATE(true, false);
    FaultRig rig({.brings_ahead = quickly});
    rig.absent_at_b(0, 16);
    CHECK(rig.write() == Status::success);
    CHECK(rig.target_is_source());
    rig.absent_at_b(0, 16);
    rig.absent_at_a(0, 16);
    CHECK(rig.read() == Status::success);
    CHECK(rig.target_is_source());
    CHECK(rig.count(Counter::faults) == (quickly ? 3 : 48));
    CHECK(rig.count(Counter::retransmitted) == 0);
    CHECK(rig.a().pager.counters().absent_touched == 0);
    CHECK(rig.b().pager.counters().absent_touched == 0);
}
