// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tests/l2/engine_rig.hpp"

/// Two connected engines with implicit memory, pages of which are absent, in virtual time.
namespace p2prdma::l2::rig {

constexpr Time link_delay = 5us;
constexpr std::size_t page_size = 4096;

/// Pages that nothing else lies in.
class Pages {
public:
    explicit Pages(std::size_t count) : room_((count + 1) * page_size), count_(count) {}
    [[nodiscard]] std::span<std::byte> some(std::size_t first, std::size_t count)
    {
        const auto start = reinterpret_cast<std::uintptr_t>(room_.data());
        return std::span(room_).subspan(-start % page_size + first * page_size, count * page_size);
    }
    [[nodiscard]] std::span<std::byte> all() { return some(0, count_); }

private:
    std::vector<std::byte> room_;
    std::size_t count_;
};

inline LinkOptions fast_link()
{
    LinkOptions link;
    link.bits_per_second = 10'000'000'000;
    link.delay = link_delay;
    return link;
}

/// Messages of 64 KiB, or of so many pages, go between memory at A and as much at B.
class FaultRig {
public:
    explicit FaultRig(const SimulatedPager::Config& pages, std::uint64_t seed = 1,
                      const DeviceOptions& options_a = {}, const DeviceOptions& options_b = {},
                      bool implicit = true, std::size_t message = 16)
        : world(seed), memory_a(message), memory_b(message),
          station_a_(world.add(options_a, fast_link(), pages)),
          station_b_(world.add(options_b, fast_link(), pages)), pair(world, station_a_, station_b_),
          key_a_(pair.a.add_region(memory_a.all(), Access::all, implicit)),
          key_b_(pair.b.add_region(memory_b.all(), Access::all, implicit))
    {
    }

    [[nodiscard]] Station& a() { return station_a_; }
    [[nodiscard]] Station& b() { return station_b_; }
    /// Of both ends together.
    [[nodiscard]] std::uint64_t count(Counter counter)
    {
        return a().engine->counters()[counter] + b().engine->counters()[counter];
    }

    void set_a(std::size_t first, std::size_t count, SimulatedPager::Page page)
    {
        set(a().pager, memory_a, tracked_a_, first, count, page);
    }
    void set_b(std::size_t first, std::size_t count, SimulatedPager::Page page)
    {
        set(b().pager, memory_b, tracked_b_, first, count, page);
    }
    void absent_at_a(std::size_t first, std::size_t count)
    {
        set_a(first, count, SimulatedPager::Page::absent);
    }
    void absent_at_b(std::size_t first, std::size_t count)
    {
        set_b(first, count, SimulatedPager::Page::absent);
    }
    /// As the pager's configuration says.
    void track_all()
    {
        a().pager.track(memory_a.all());
        b().pager.track(memory_b.all());
        tracked_a_ = tracked_b_ = true;
    }
    void lose(double share)
    {
        const Impairments impairments{.lose = share};
        a().port->set_impairments(impairments, {});
        b().port->set_impairments(impairments, {});
    }

    void post_write() { post(Operation::write, memory_a.all()); }
    /// Only so many bytes; not for finish().
    void post_short_write(std::size_t bytes)
    {
        const auto local = segment(memory_a.all().first(bytes), key_a_);
        REQUIRE(pair.a.post(write_of(std::span(&local, 1), remote(memory_b.all(), key_b_))) ==
                std::errc());
    }
    /// A message from A to B.
    [[nodiscard]] Status write()
    {
        post_write();
        return finish();
    }
    /// A message from B to A.
    [[nodiscard]] Status read()
    {
        post(Operation::read, memory_b.all());
        return finish();
    }
    /// How the request ends.
    [[nodiscard]] Status finish()
    {
        REQUIRE(pair.run(++requests_, 0));
        return pair.a.completions.back().status;
    }
    /// How long a message takes.
    [[nodiscard]] Time time_write()
    {
        const Time begin = world.now;
        REQUIRE(write() == Status::success);
        return world.now - begin;
    }
    [[nodiscard]] bool target_is_source()
    {
        return std::ranges::equal(memory_a.all(), memory_b.all()) &&
               std::ranges::equal(memory_a.all(), content_);
    }
    /// Neither end waits for a page, or holds anything of the connection, which has failed.
    void check_freed()
    {
        world.run_for(10s);
        CHECK(b().pager.pending() == 0);
        CHECK(a().pager.pending() == 0);
        CHECK(a().engine->bytes_held() == 0);
        CHECK(b().engine->bytes_held() == 0);
    }

    World world;
    Pages memory_a, memory_b;

private:
    static void set(SimulatedPager& pager, Pages& memory, bool& tracked, std::size_t first,
                    std::size_t count, SimulatedPager::Page page)
    {
        if (!tracked) {
            pager.track(memory.all());
            pager.set(memory.all(), SimulatedPager::Page::present);
            tracked = true;
        }
        pager.set(memory.some(first, count), page);
    }
    void post(Operation operation, std::span<std::byte> source)
    {
        content_ = pattern(source.size(), requests_ + 1);
        std::ranges::copy(content_, source.begin());
        const auto local = segment(memory_a.all(), key_a_);
        REQUIRE(pair.a.post({.id = requests_,
                             .operation = operation,
                             .segments = std::span(&local, 1),
                             .remote = remote(memory_b.all(), key_b_)}) == std::errc());
    }

    Station& station_a_;
    Station& station_b_;
    bool tracked_a_ = false, tracked_b_ = false;
    std::size_t requests_ = 0;
    std::vector<std::byte> content_;

public:
    Pair pair;

private:
    std::uint32_t key_a_, key_b_;
};

} // namespace p2prdma::l2::rig
