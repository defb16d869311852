// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/engine_rig.hpp"
#include "tests/l2/raw_frame.hpp"

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

TEST_CASE("R3.7: a frame from another address, or with another tag, is dropped")
{
    World world(1);
    auto& left = world.add();
    auto& right = world.add();
    auto& spoofer = world.add();
    Pair pair(world, left, right);
    Memories memories(pair, 1000);
    std::vector<std::byte> frame;
    world.network.watch([&](const Network::Entering& entering) {
        if (parsed(entering.bytes).header.opcode == wire::Opcode::write)
            frame.assign(entering.bytes.begin(), entering.bytes.end());
    });
    memories.write();
    REQUIRE(pair.run(1, 0));
    world.network.watch({});
    std::fill(memories.target.begin(), memories.target.end(), std::byte());
    // The next one, so that the receiver would take it if it were the peer's.
    constexpr std::size_t psn_at = 14 + 8, tag_at = 14 + 14;
    store_big(&frame[psn_at], load_big<std::uint32_t>(&frame[psn_at]) + 0x100);
    auto tagged = frame;
    store_big(&tagged[tag_at],
              static_cast<std::uint16_t>(load_big<std::uint16_t>(&frame[tag_at]) ^ 1));
    wire::mend(tagged);
    world.network.inject(*left.port, tagged);
    world.run_for(10ms);
    CHECK(counter(right, Counter::wrong_tag) == 1);
    CHECK(counter(right, Counter::wrong_source) == 0);
    CHECK(memories.target[0] == std::byte());
    std::copy_n(spoofer.port->address().bytes.begin(), 6,
                reinterpret_cast<std::uint8_t*>(frame.data()) + 6);
    wire::mend(frame);
    world.network.inject(*spoofer.port, frame);
    world.run_for(10ms);
    CHECK(counter(right, Counter::wrong_source) == 1);
    CHECK(counter(right, Counter::wrong_tag) == 1);
    CHECK(memories.target[0] == std::byte());
    CHECK(pair.b.connection->state() == ConnectionState::established);
}

TEST_CASE("R3.7: a key counts in its domain, for its peer, and for what it allows")
{
    struct Case {
        const char* name;
        std::function<std::uint32_t(Pair&, Memories&)> key;
        Operation operation;
        Status status;
    };
    const auto range_of = [](Memories& memories) {
        RegisteredRange range;
        range.start = reinterpret_cast<std::uintptr_t>(memories.target.data());
        range.length = memories.target.size();
        range.access = Access::all;
        return range;
    };
    const Case cases[] = {
        {"another domain",
         [&](Pair& pair, Memories& memories) {
             auto range = range_of(memories);
             range.domain = pair.b.station->engine->new_domain();
             return pair.b.station->engine->memory().add(range);
         },
         Operation::write, Status::remote_access},
        {"another peer",
         [&](Pair& pair, Memories& memories) {
             auto range = range_of(memories);
             range.domain = pair.b.domain;
             range.only = address_of(99);
             return pair.b.station->engine->memory().add(range);
         },
         Operation::write, Status::remote_access},
        {"read only",
         [&](Pair& pair, Memories& memories) {
             return pair.b.add_region(memories.target, Access::remote_read);
         },
         Operation::write, Status::remote_access},
        {"write only",
         [&](Pair& pair, Memories& memories) {
             return pair.b.add_region(memories.target, Access::remote_write | Access::local_write);
         },
         Operation::read, Status::remote_access},
        {"removed",
         [&](Pair& pair, Memories& memories) {
             const auto key = pair.b.add_region(memories.target);
             pair.b.station->engine->memory().remove(key);
             return key;
         },
         Operation::write, Status::remote_access},
        {"allowed",
         [&](Pair& pair, Memories& memories) {
             auto range = range_of(memories);
             range.domain = pair.b.domain;
             range.only = pair.a.station->port->address();
             return pair.b.station->engine->memory().add(range);
         },
         Operation::write, Status::success},
    };
    for (const auto& one : cases) {
        INFO(one.name);
        Joined joined;
        auto& [world, left, right, pair] = joined;
        Memories memories(pair);
        const auto key = one.key(pair, memories);
        REQUIRE(pair.a.post({.id = 1,
                             .operation = one.operation,
                             .segments = std::span(&memories.from, 1),
                             .remote = remote(memories.target, key)}) == std::errc());
        REQUIRE(pair.run(1, 0));
        CHECK(pair.a.completions[0].status == one.status);
        if (one.status != Status::success)
            CHECK(memories.target[0] == std::byte());
    }
}

TEST_CASE("R3.8: addresses and lengths that overflow or leave the range are refused")
{
    struct Case {
        std::int64_t start;
        std::uint32_t length;
    };
    constexpr std::uint32_t size = 20'000;
    for (const auto& one : {Case{1, size}, Case{-1, 100}, Case{size, 1}, Case{INT64_MIN, 100},
                            Case{INT64_MAX, 100}, Case{size - 8, 9}})
        for (const auto operation : {Operation::write, Operation::read}) {
            INFO(one.start << " " << one.length);
            Joined joined;
            auto& [world, left, right, pair] = joined;
            Memories memories(pair, size);
            memories.from.length = one.length;
            auto target = remote(memories.target, memories.target_key);
            target.address += static_cast<std::uint64_t>(one.start);
            REQUIRE(pair.a.post({.id = 1,
                                 .operation = operation,
                                 .segments = std::span(&memories.from, 1),
                                 .remote = target}) == std::errc());
            REQUIRE(pair.run(1, 0));
            CHECK(pair.a.completions[0].status == Status::remote_access);
        }
}

TEST_CASE("R3.8: local memory that is not registered, and atomics that are not aligned")
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    auto piece = memories.from;
    piece.length = 8;
    auto target = remote(memories.target, memories.target_key);
    target.address |= 1;
    REQUIRE(pair.a.post({.id = 1,
                         .operation = Operation::fetch_add,
                         .segments = std::span(&piece, 1),
                         .remote = target,
                         .operand = 1}) == std::errc());
    REQUIRE(pair.run(1, 0));
    CHECK(pair.a.completions[0].status == Status::remote_invalid);

    pair.reconnect({}, 8);
    memories.from.key ^= 1;
    memories.write();
    REQUIRE(pair.run(2, 0));
    CHECK(pair.a.completions[1].status == Status::local_protection);
}

TEST_CASE("Access: pages that are missing at either end only take time")
{
    for (const auto operation : {Operation::write, Operation::read, Operation::send}) {
        SimulatedPager::Config pages;
        pages.shortest = 2ms;
        pages.longest = 10ms;
        World world(1);
        auto& left = world.add({}, {}, pages);
        auto& right = world.add({}, {}, pages);
        Pair pair(world, left, right);
        constexpr std::size_t size = 1 << 16;
        auto source = pattern(size);
        std::vector<std::byte> target(size);
        left.pager.track(source);
        left.pager.track(target);
        right.pager.track(target);
        right.pager.track(source);
        auto& reads_from = operation == Operation::read ? pair.b : pair.a;
        auto& writes_to = operation == Operation::read ? pair.a : pair.b;
        const auto source_key = reads_from.add_region(source, Access::all, true);
        const auto target_key = writes_to.add_region(target, Access::all, true);
        const auto from = segment(source, source_key);
        const auto to = segment(target, target_key);
        const bool reads = operation == Operation::read;
        if (operation == Operation::send)
            REQUIRE(pair.b.receive(1, std::span(&to, 1)) == std::errc());
        REQUIRE(pair.a.post({.id = 1,
                             .operation = operation,
                             .segments = std::span(reads ? &to : &from, 1),
                             .remote = reads ? remote(source, source_key)
                                             : remote(target, target_key)}) == std::errc());
        REQUIRE(pair.run(1, 0));
        CHECK(pair.a.completions[0].status == Status::success);
        CHECK(target == source);
        CHECK(counter(left, Counter::retransmitted) == 0);
        CHECK(counter(right, Counter::retransmitted) == 0);
        CHECK(left.pager.counters().absent_touched == 0);
        CHECK(right.pager.counters().absent_touched == 0);
        CHECK(counter(left, Counter::faults) != 0);
        CHECK(counter(right, Counter::faults) != 0);
    }
}

TEST_CASE("Access: a page that cannot be had ends the request, at whichever end it is")
{
    using Page = SimulatedPager::Page;
    for (const auto page : {Page::unmapped, Page::unanswered})
        for (const auto operation : {Operation::write, Operation::read})
            for (const bool at_source : {true, false}) {
                INFO("operation " << to_string(operation) << ", at source " << at_source);
                Joined joined;
                auto& [world, left, right, pair] = joined;
                constexpr std::size_t size = 1 << 14;
                auto source = pattern(size);
                std::vector<std::byte> target(size);
                const bool reads = operation == Operation::read;
                auto& reads_from = reads ? pair.b : pair.a;
                auto& writes_to = reads ? pair.a : pair.b;
                auto& bad = at_source ? source : target;
                auto& pager = (at_source ? reads_from : writes_to).station->pager;
                pager.track(bad);
                pager.set(bad, page);
                const auto source_key = reads_from.add_region(source, Access::all, true);
                const auto target_key = writes_to.add_region(target, Access::all, true);
                const auto from = segment(source, source_key);
                const auto to = segment(target, target_key);
                REQUIRE(pair.a.post({.id = 1,
                                     .operation = operation,
                                     .segments = std::span(reads ? &to : &from, 1),
                                     .remote = reads ? remote(source, source_key)
                                                     : remote(target, target_key)}) == std::errc());
                REQUIRE(pair.run(1, 0, 6s));
                const bool local = at_source != reads;
                CHECK(pair.a.completions[0].status ==
                      (local ? Status::local_fault : Status::remote_fault));
                REQUIRE(world.run(
                    [&] { return pair.b.connection->state() != ConnectionState::established; },
                    1s));
                CHECK(pager.pending() == 0);
            }
}
