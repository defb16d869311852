// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/engine_rig.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <deque>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

/// Both ends send each other messages of all sizes and kinds at once; each is looked at when it
/// has come, by place and content. Exactly once, in order, each byte.
class Traffic {
public:
    static constexpr std::size_t area = 1 << 20;
    static constexpr std::size_t longest = 40'000;

    Traffic(Pair& pair, std::uint64_t seed) : pair_(pair), random_(seed)
    {
        for (auto* side : {&a_, &b_}) {
            side->source = pattern(area, random_());
            side->target.resize(area);
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
    }

private:
    struct Work {
        SendRequest request;
        std::size_t from = 0, size = 0, at = 0;
    };
    struct Side {
        End* end = nullptr;
        Side* peer = nullptr;
        std::vector<std::byte> source, target, read_into, receives;
        std::uint32_t source_key = 0, target_key = 0, read_key = 0, receives_key = 0,
                      counter_key = 0, old_key = 0;
        alignas(8) std::uint64_t counter = 0;
        alignas(8) std::uint64_t old = 0;
        std::uint64_t adds = 0;
        std::deque<Work> under_way;
        std::deque<Work> to_receive; ///< sends of the peer's, in order
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
        side.target_key = end.add_region(side.target);
        side.read_key = end.add_region(side.read_into, Access::local_write);
        side.receives_key = end.add_region(side.receives, Access::local_write);
        side.counter_key = end.add_region(std::as_writable_bytes(std::span(&side.counter, 1)));
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
        work.request.operation = static_cast<Operation>(random_() % 4);
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
        request.segments = std::span(&piece, 1);
        REQUIRE(side.end->post(request) == std::errc());
        side.sent += work.size + 1;
        if (request.operation == Operation::send)
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
    void check_placed(Side& side, const std::vector<std::byte>& placed,
                      const std::vector<std::byte>& source, const Work& work)
    {
        for (const auto& later : side.under_way)
            if (later.request.operation == work.request.operation &&
                later.at < work.at + work.size && work.at < later.at + later.size)
                return;
        REQUIRE(same(placed, work.at, source, work.from, work.size));
    }
    static bool same(const std::vector<std::byte>& a, std::size_t at,
                     const std::vector<std::byte>& b, std::size_t from, std::size_t size)
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

void run_traffic(const Badness& bad, std::size_t bytes, std::uint64_t seed)
{
    INFO("loss " << bad.lose << ", duplicates " << bad.duplicate << ", reordering " << bad.reorder
                 << ", corruption " << bad.corrupt << ", seed " << seed);
    LinkOptions link;
    link.bits_per_second = 10'000'000'000;
    link.delay = 5us;
    link.to_switch.lose = bad.lose;
    link.to_switch.duplicate = bad.duplicate;
    link.to_switch.reorder = bad.reorder;
    link.to_switch.reorder_by = 64;
    link.to_switch.corrupt = bad.corrupt;
    World world(seed);
    auto& left = world.add({}, link);
    auto& right = world.add({}, link);
    Pair pair(world, left, right);
    Traffic(pair, seed).run(bytes);
}

} // namespace

TEST_CASE("R3.2: exactly once and in order under loss, duplicates, reordering and corruption")
{
    std::uint64_t seed = 1;
    for (const double lose : {0.0, 0.001, 0.01, 0.05})
        for (const double duplicate : {0.0, 0.01})
            for (const double reorder : {0.0, 0.01})
                for (const double corrupt : {0.0, 0.001})
                    run_traffic({lose, duplicate, reorder, corrupt}, 2'000'000, seed++);
}

TEST_CASE("R3.2: the same for long", "[.long]")
{
    std::uint64_t seed = 1000;
    for (const double lose : {0.0, 0.001, 0.01, 0.05})
        for (const double duplicate : {0.0, 0.01})
            for (const double reorder : {0.0, 0.01})
                for (const double corrupt : {0.0, 0.00001})
                    run_traffic({lose, duplicate, reorder, corrupt}, 300'000'000, seed++);
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
