// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Very many queue pairs that fault together, in virtual time.
#include "tests/l2/fault_rig.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

/// Queue pairs between two stations, each with so many pages of its own to write to, of which the
/// first is absent or not.
class Storm {
public:
    Storm(std::size_t count, std::size_t pages, const SimulatedPager::Config& config,
          const DeviceOptions& options)
        : world_(1), left_(world_.add(options, fast_link(), config)),
          right_(world_.add(options, fast_link(), config)), pages_(pages), source_(pages),
          target_(count * pages)
    {
        auto content = pattern(pages * page_size);
        std::ranges::copy(content, source_.all().begin());
        for (std::size_t i = 0; i < count; ++i)
            pairs_.push_back(std::make_unique<Pair>(world_, left_, right_));
        right_.pager.track(target_.all());
        right_.pager.set(target_.all(), SimulatedPager::Page::present);
    }

    void absent_first_pages()
    {
        for (std::size_t i = 0; i < pairs_.size(); ++i)
            right_.pager.set(target_.some(i * pages_, 1), SimulatedPager::Page::absent);
    }
    /// From now on the receiver says nothing of what it drops, as adapters with on-demand paging
    /// do: needs FaultMode::rnr, whose naks do not pass any more.
    void be_silent()
    {
        world_.network.drop_if([](const Network::Entering& entering) {
            return parsed(entering.bytes).header.opcode == wire::Opcode::nak;
        });
    }
    struct Cost {
        std::uint64_t frames = 0; ///< on the wire
        Time time = {};           ///< until the last message had ended
    };
    /// One message on each queue pair; what all of that took.
    [[nodiscard]] Cost run()
    {
        const auto before = on_the_wire();
        const auto begin = world_.now;
        for (std::size_t i = 0; i < pairs_.size(); ++i)
            post(*pairs_[i], target_.some(i * pages_, pages_));
        REQUIRE(world_.run([&] { return pass(); }, 300s));
        const auto time = world_.now - begin;
        world_.run_for(10ms); // what still has to be acknowledged
        return {on_the_wire() - before, time};
    }
    [[nodiscard]] bool all_arrived()
    {
        for (std::size_t i = 0; i < pairs_.size(); ++i)
            if (!std::ranges::equal(target_.some(i * pages_, pages_), source_.all()))
                return false;
        return true;
    }
    [[nodiscard]] Station& target() { return right_; }
    [[nodiscard]] std::size_t most_held() const { return most_held_; }
    [[nodiscard]] std::uint64_t count(Counter counter)
    {
        return left_.engine->counters()[counter] + right_.engine->counters()[counter];
    }

private:
    [[nodiscard]] std::uint64_t on_the_wire() const
    {
        return world_.network.counters().sent - world_.network.counters().dropped;
    }
    void post(Pair& pair, std::span<std::byte> to)
    {
        const auto from_key = pair.a.add_region(source_.all());
        const auto to_key = pair.b.add_region(to, Access::all, true);
        const auto from = segment(source_.all(), from_key);
        REQUIRE(pair.a.post({.operation = Operation::write,
                             .segments = std::span(&from, 1),
                             .remote = remote(to, to_key)}) == std::errc());
        ++wanted_;
    }
    [[nodiscard]] bool pass()
    {
        most_held_ = std::max(most_held_, right_.engine->bytes_held());
        while (ended_ < wanted_ &&
               pairs_[ended_ % pairs_.size()]->a.poll() > ended_ / pairs_.size()) {
            REQUIRE(pairs_[ended_ % pairs_.size()]->a.completions.back().status == Status::success);
            ++ended_;
        }
        return ended_ == wanted_;
    }

    World world_;
    Station& left_;
    Station& right_;
    std::size_t pages_;
    Pages source_, target_;
    std::vector<std::unique_ptr<Pair>> pairs_;
    std::size_t wanted_ = 0, ended_ = 0, most_held_ = 0;
};

const SimulatedPager::Config slow_pages = {.shortest = 1ms, .longest = 8ms};

DeviceOptions with(FaultMode mode)
{
    DeviceOptions options;
    options.faults = mode;
    return options;
}

} // namespace

TEST_CASE("R7.5: a storm of faults costs at most a tenth more frames; where frames are dropped, "
          "with or without a word, over half more, and longer")
{
    Storm delay(1024, 8, slow_pages, with(FaultMode::delay));
    const auto quiet = delay.run();
    delay.absent_first_pages();
    const auto stormy = delay.run();
    CHECK(delay.all_arrived());
    CAPTURE(quiet.frames, stormy.frames, quiet.time, stormy.time);
    CHECK(stormy.frames * 10 <= quiet.frames * 11);
    CHECK(delay.count(Counter::retransmitted) == 0);

    for (const bool silent : {false, true}) {
        Storm other(1024, 8, slow_pages, with(FaultMode::rnr));
        if (silent)
            other.be_silent();
        other.absent_first_pages();
        const auto dropping = other.run();
        CHECK(other.all_arrived());
        CAPTURE(silent, dropping.frames, dropping.time);
        CHECK(other.count(Counter::retransmitted) > 1024);
        CHECK(dropping.frames * 10 > quiet.frames * 15);
        if (silent) { // nobody says when to try again: timeouts grow
            CHECK(other.count(Counter::timeouts) > 1024);
            CHECK(dropping.time - quiet.time > 2 * (stormy.time - quiet.time));
        }
    }
}

namespace {

void check_memory_is_bounded(std::size_t queue_pairs)
{
    DeviceOptions options;
    options.fault_buffer = 16 * 1024;
    options.buffer_limit = 4 * 1024 * 1024;
    Storm storm(queue_pairs, 8, {.shortest = 50ms, .longest = 100ms}, options);
    storm.absent_first_pages();
    (void)storm.run();
    CHECK(storm.all_arrived());
    CHECK(storm.most_held() <=
          std::min<std::size_t>(queue_pairs * options.fault_buffer, options.buffer_limit));
    CHECK(storm.most_held() > options.buffer_limit / 2); // it was a storm
    CHECK(storm.target().engine->bytes_held() == 0);
}

} // namespace

TEST_CASE("R7.4: what 1000 faulting queue pairs hold is bounded, and all arrives")
{
    check_memory_is_bounded(1000);
}

TEST_CASE("R7.4: the same with 10000", "[.long]")
{
    check_memory_is_bounded(10000);
}
