// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/fault_rig.hpp"

#include "lib/l2/wire_rules.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <deque>
#include <map>
#include <set>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

/// Both ends send each other messages of all sizes and kinds at once; each is looked at when it
/// has come, by place and content. Exactly once, in order, each byte. What is written to is an
/// implicit region, pages of which come and go.
class Traffic {
public:
    static constexpr std::size_t area = 1 << 20;
    static constexpr std::size_t longest = 40'000;

    Traffic(Pair& pair, std::uint64_t seed) : pair_(pair), random_(seed)
    {
        for (auto* side : {&a_, &b_}) {
            side->source = pattern(area, random_());
            side->read_into.resize(area);
            side->receives.resize(area);
        }
        setup(a_, pair.a);
        setup(b_, pair.b);
        a_.peer = &b_;
        b_.peer = &a_;
    }
    /// Until each end has sent so many bytes.
    void run(std::size_t bytes)
    {
        const bool ended = pair_.world.run(
            [&] {
                move(a_, bytes);
                move(b_, bytes);
                return a_.done(bytes) && b_.done(bytes);
            },
            std::chrono::hours(1));
        INFO("sent " << a_.sent << " and " << b_.sent << ", received " << a_.received << " and "
                     << b_.received << ", under way " << a_.under_way.size() << " and "
                     << b_.under_way.size());
        REQUIRE(ended);
        CHECK(a_.counter == b_.adds);
        CHECK(b_.counter == a_.adds);
        // Each swap found what the one before it had left there.
        CHECK(a_.word == b_.swapped);
        CHECK(b_.word == a_.swapped);
        CHECK(a_.swapped + b_.swapped > 0);
        CHECK(a_.immediates + b_.immediates > 0);
    }

private:
    struct Work {
        SendRequest request;
        std::size_t from = 0, size = 0, at = 0;
        [[nodiscard]] bool is_received() const
        {
            return request.operation == Operation::send || request.has_immediate;
        }
    };
    struct Side {
        End* end = nullptr;
        Side* peer = nullptr;
        std::vector<std::byte> source, read_into, receives;
        Pages target_pages{area / page_size};
        std::span<std::byte> target = target_pages.all();
        std::uint32_t source_key = 0, target_key = 0, read_key = 0, receives_key = 0,
                      counter_key = 0, word_key = 0, old_key = 0;
        alignas(8) std::uint64_t counter = 0;
        alignas(8) std::uint64_t word = 0;
        alignas(8) std::uint64_t old = 0;
        std::uint64_t adds = 0, swapped = 0, immediates = 0;
        std::deque<Work> under_way;
        std::deque<Work> to_receive; ///< sends and immediates of the peer's, in order
        std::size_t sent = 0, seen = 0, received = 0, posted = 0;
        [[nodiscard]] bool done(std::size_t bytes) const
        {
            return sent >= bytes && under_way.empty() && to_receive.empty();
        }
    };

    void setup(Side& side, End& end)
    {
        side.end = &end;
        side.source_key = end.add_region(side.source, Access::local_read | Access::remote_read);
        side.target_key = end.add_region(side.target, Access::all, true);
        end.station->pager.track(side.target);
        side.read_key = end.add_region(side.read_into, Access::local_write);
        side.receives_key = end.add_region(side.receives, Access::local_write);
        side.counter_key = end.add_region(std::as_writable_bytes(std::span(&side.counter, 1)));
        side.word_key = end.add_region(std::as_writable_bytes(std::span(&side.word, 1)));
        side.old_key = end.add_region(std::as_writable_bytes(std::span(&side.old, 1)));
    }

    static constexpr std::size_t receive_slots = area / longest;

    void move(Side& side, std::size_t bytes)
    {
        while (side.posted - side.received < receive_slots / 2)
            post_receive(side);
        while (side.sent < bytes && side.under_way.size() < 16)
            post(side);
        (void)side.end->poll();
        for (; side.seen < side.end->completions.size(); ++side.seen)
            look_at(side, side.end->completions[side.seen]);
    }
    void post_receive(Side& side)
    {
        const auto at = side.posted % receive_slots * longest;
        const auto place =
            segment(std::span(side.receives).subspan(at, longest), side.receives_key);
        REQUIRE(side.end->receive(side.posted++, std::span(&place, 1)) == std::errc());
    }
    std::size_t draw_size()
    {
        switch (random_() % 4) {
        case 0:
            return random_() % 3;
        case 1:
            return 1400 + random_() % 120;
        default:
            return random_() % longest;
        }
    }
    void post(Side& side)
    {
        Work work;
        work.size = draw_size();
        work.from = random_() % (area - work.size);
        work.at = random_() % (area - work.size);
        work.request.id = side.sent;
        work.request.operation = static_cast<Operation>(random_() % 5);
        auto piece = segment(std::span(side.source).subspan(work.from, work.size), side.source_key);
        auto& request = work.request;
        if (request.operation == Operation::write)
            request.remote =
                remote(std::span(side.peer->target).subspan(work.at), side.peer->target_key);
        if (request.operation == Operation::read) {
            piece = segment(std::span(side.read_into).subspan(work.at, work.size), side.read_key);
            request.remote =
                remote(std::span(side.peer->source).subspan(work.from), side.peer->source_key);
        }
        if (request.operation == Operation::fetch_add) {
            piece = {&side.old, 8, side.old_key};
            request.remote = {reinterpret_cast<std::uintptr_t>(&side.peer->counter),
                              side.peer->counter_key};
            request.operand = work.size;
            side.adds += work.size;
        }
        if (request.operation == Operation::compare_swap) {
            piece = {&side.old, 8, side.old_key};
            request.remote = {reinterpret_cast<std::uintptr_t>(&side.peer->word),
                              side.peer->word_key};
            request.compare = side.swapped;
            request.operand = ++side.swapped;
        }
        if (request.operation == Operation::send || request.operation == Operation::write) {
            request.has_immediate = random_() % 3 == 0;
            request.immediate = static_cast<std::uint32_t>(random_());
        }
        request.segments = std::span(&piece, 1);
        REQUIRE(side.end->post(request) == std::errc());
        side.sent += work.size + 1;
        if (work.is_received())
            side.peer->to_receive.push_back(work);
        side.under_way.push_back(work);
    }
    void look_at(Side& side, const Completion& completion)
    {
        REQUIRE(completion.status == Status::success);
        if (completion.operation == Operation::receive) {
            REQUIRE_FALSE(side.to_receive.empty());
            const auto work = side.to_receive.front();
            side.to_receive.pop_front();
            REQUIRE(completion.id == side.received);
            const auto slot = side.received++ % receive_slots * longest;
            REQUIRE(completion.length == work.size);
            REQUIRE(completion.has_immediate == work.request.has_immediate);
            REQUIRE((!completion.has_immediate || completion.immediate == work.request.immediate));
            side.immediates += completion.has_immediate;
            if (work.request.operation == Operation::send)
                REQUIRE(same(side.receives, slot, side.peer->source, work.from, work.size));
            return;
        }
        REQUIRE_FALSE(side.under_way.empty());
        const auto work = side.under_way.front();
        side.under_way.pop_front();
        REQUIRE(completion.id == work.request.id);
        if (work.request.operation == Operation::read)
            check_placed(side, side.read_into, side.peer->source, work);
        if (work.request.operation == Operation::write)
            check_placed(side, side.peer->target, side.source, work);
    }
    // A later one, of which we do not know how far it is, may have been placed over it.
    void check_placed(Side& side, std::span<const std::byte> placed,
                      std::span<const std::byte> source, const Work& work)
    {
        for (const auto& later : side.under_way)
            if (later.request.operation == work.request.operation &&
                later.at < work.at + work.size && work.at < later.at + later.size)
                return;
        REQUIRE(same(placed, work.at, source, work.from, work.size));
    }
    static bool same(std::span<const std::byte> a, std::size_t at, std::span<const std::byte> b,
                     std::size_t from, std::size_t size)
    {
        return size == 0 || std::memcmp(&a[at], &b[from], size) == 0;
    }

    Pair& pair_;
    std::mt19937_64 random_;
    Side a_, b_;
};

struct Badness {
    double lose, duplicate, reorder, corrupt;
};

LinkOptions bad_link(const Badness& bad)
{
    LinkOptions link;
    link.bits_per_second = 10'000'000'000;
    link.delay = 5us;
    link.to_switch.lose = bad.lose;
    link.to_switch.duplicate = bad.duplicate;
    link.to_switch.reorder = bad.reorder;
    link.to_switch.reorder_by = 64;
    link.to_switch.corrupt = bad.corrupt;
    return link;
}

Network::Counters run_traffic(const Badness& bad, std::size_t bytes, std::uint64_t seed)
{
    INFO("loss " << bad.lose << ", duplicates " << bad.duplicate << ", reordering " << bad.reorder
                 << ", corruption " << bad.corrupt << ", seed " << seed);
    const auto link = bad_link(bad);
    const SimulatedPager::Config pages = {
        .seed = seed, .absent = 0.3, .shortest = 5us, .longest = 100us, .vanish_interval = 50us};
    World world(seed);
    auto& left = world.add({}, link, pages);
    auto& right = world.add({}, link, pages);
    Pair pair(world, left, right);
    Traffic(pair, seed).run(bytes);
    // What was not asked for did not happen.
    const auto& network = world.network.counters();
    CHECK((network.lost == 0 || bad.lose > 0));
    CHECK((network.duplicated == 0 || bad.duplicate > 0));
    CHECK((network.reordered == 0 || bad.reorder > 0));
    CHECK((network.corrupted == 0 || bad.corrupt > 0));
    for (auto* station : {&left, &right}) {
        CHECK(counter(*station, Counter::faults) > 0);
        CHECK(station->pager.counters().absent_touched == 0);
    }
    return network;
}

/// Each combination; and each did happen.
void run_all(std::size_t bytes, double corruption, std::uint64_t seed)
{
    std::uint64_t duplicated = 0, reordered = 0, corrupted = 0;
    for (const double lose : {0.0, 0.001, 0.01, 0.05}) {
        std::uint64_t lost = 0;
        for (const double duplicate : {0.0, 0.01})
            for (const double reorder : {0.0, 0.01})
                for (const double corrupt : {0.0, corruption}) {
                    const auto network =
                        run_traffic({lose, duplicate, reorder, corrupt}, bytes, seed++);
                    lost += network.lost;
                    duplicated += network.duplicated;
                    reordered += network.reordered;
                    corrupted += network.corrupted;
                }
        CHECK((lost > 0) == (lose > 0));
    }
    CHECK(duplicated > 0);
    CHECK(reordered > 0);
    CHECK(corrupted > 0);
}

/// What a world came to.
struct Course {
    Time end;
    Statistics left, right;
    bool operator==(const Course&) const = default;
};

/// Traffic, of which psn wrap after `count` frames at the latest, or not at all.
Course run_near_wrap(const Badness& bad, std::uint32_t count, bool wraps, std::uint64_t seed)
{
    World world(seed);
    auto& left = world.add({}, bad_link(bad));
    auto& right = world.add({}, bad_link(bad));
    for (auto* const one : {&left, &right})
        one->restart(one->pager, one->near_wrap(count, wraps));
    Pair pair(world, left, right);
    std::map<const MemoryPort*, std::set<bool>> halves; // of the psn that each sent
    world.network.watch([&](const Network::Entering& entering) {
        const auto frame = parsed(entering.bytes);
        if (wire::is_sequenced(frame.header.opcode))
            halves[&entering.from].insert(frame.header.psn > wire::psn_mask / 2);
    });
    Traffic(pair, seed).run(500'000);
    for (const auto* const one : {&left, &right})
        CHECK(halves[one->port.get()].size() == (wraps ? 2 : 1));
    return {world.now, left.engine->counters().all(), right.engine->counters().all()};
}

} // namespace

// The requirement is 10 GiB for each combination, and corruption of 10^-5. Here 2 MB go each way of
// each of the 32, with corruption of one frame in a thousand, so that it happens; the long test has
// 300 MB, and one in 10^5.
TEST_CASE("R3.2: exactly once and in order under loss, duplicates, reordering and corruption")
{
    run_all(2'000'000, 0.001, 1);
}

TEST_CASE("R3.5: psn that wrap in both directions change nothing, whatever goes wrong")
{
    std::uint64_t seed = 100;
    for (const double lose : {0.0, 0.01, 0.05, 0.2})
        for (const std::uint32_t count : {1U, 16U, 128U}) {
            const Badness bad = {lose, 0.01, 0.01, 0.001};
            INFO("loss " << lose << ", of the last " << count << ", seed " << ++seed);
            CHECK(run_near_wrap(bad, count, true, seed) == run_near_wrap(bad, count, false, seed));
        }
}

TEST_CASE("R3.2: the same for long", "[.long]")
{
    run_all(300'000'000, 0.00001, 1000);
}

TEST_CASE("R3.3: also of the first flight a lost tail is there after 1 ms, or four round trips")
{
    const bool of_initiator = GENERATE(true, false);
    for (const auto delay : {5us, 100us, 1000us}) { // there are two cables, each way
        World world(1);
        LinkOptions link;
        link.delay = delay;
        auto& left = world.add({}, link);
        auto& right = world.add({}, link);
        Pair pair(world, left, right);
        if (!of_initiator) {
            std::swap(pair.a.station, pair.b.station);
            std::swap(pair.a.connection, pair.b.connection);
            std::swap(pair.a.domain, pair.b.domain);
        }
        world.run_for(20ms);
        Memories memories(pair, 500); // of one frame, so that no other tells anything
        bool lost = false;
        world.network.drop_if([&](const Network::Entering& entering) {
            const auto frame = parsed(entering.bytes);
            const bool is_tail = frame.header.opcode == wire::Opcode::write &&
                                 (frame.header.flags & wire::last) != 0;
            return is_tail && !std::exchange(lost, true);
        });
        const auto begun = world.now;
        memories.write();
        REQUIRE(world.run([&] { return memories.target == memories.source; }, 100ms));
        CHECK(lost);
        INFO((world.now - begun).count() << " ns");
        CHECK(world.now - begun <= std::max<Time>(4 * 4 * delay, 1ms));
    }
}

namespace {

/// A reads memory of B's, which is gone when A has got it; until `ends`, frames of the station are
/// lost. The status of the next read, of other memory.
Status read_after_memory_has_gone(Station& (*of)(Joined&), Time lasts, Status expected)
{
    Joined joined;
    auto& [world, left, right, pair] = joined;
    Memories memories(pair);
    auto gone = pattern(20'000);
    const auto key = pair.b.add_region(gone);
    const auto read = [&](std::span<const std::byte> from, std::uint32_t from_key) {
        return SendRequest{.operation = Operation::read,
                           .segments = std::span(&memories.from, 1),
                           .remote = remote(from, from_key)};
    };
    REQUIRE(pair.a.post(read(gone, key)) == std::errc());
    std::uint32_t answers = 0;
    Time ends = Time::max();
    world.network.drop_if([&, station = of(joined).port.get()](const Network::Entering& entering) {
        const auto frame = parsed(entering.bytes);
        answers += frame.header.opcode == wire::Opcode::read_response;
        if (answers < 14 || &entering.from != station)
            return false;
        if (ends == Time::max())
            ends = entering.time + lasts;
        return entering.time < ends;
    });
    REQUIRE(world.run([&] { return answers >= 14; }, 1s));
    if (of(joined).port == left.port)
        REQUIRE(pair.run(1, 0, 1s));
    right.engine->memory().remove(key);
    REQUIRE(pair.run(1, 0, 20s));
    CHECK(pair.a.completions[0].status == expected);
    world.run_for(200ms);
    if (pair.a.post(read(memories.target, memories.target_key)) != std::errc())
        return Status::flushed;
    REQUIRE(pair.run(2, 0, 20s));
    return pair.a.completions[1].status;
}

} // namespace

TEST_CASE("R3.2: memory may go when its reader has it, although the acknowledgement is lost")
{
    const auto reader = [](Joined& joined) -> Station& { return joined.left; };
    for (const auto lasts : {1ms, 10ms, 60ms}) {
        INFO(lasts.count() << " ms");
        CHECK(read_after_memory_has_gone(reader, lasts, Status::success) == Status::success);
    }
}

TEST_CASE("R3.2: memory that goes before its reader has it ends the read with an error, in time")
{
    const auto owner = [](Joined& joined) -> Station& { return joined.right; };
    CHECK(read_after_memory_has_gone(owner, 5ms, Status::remote_access) == Status::flushed);
}
