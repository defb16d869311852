// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/engine_rig.hpp"

using namespace p2prdma::l2;
using namespace p2prdma::l2::rig;

namespace {

/// A host that others use too: it runs now and then, for a while.
class Shared {
public:
    Shared(Station& station, Time runs, Time waits, std::uint64_t seed)
        : station_(station), runs_(runs), waits_(waits), random_(seed)
    {
    }
    void progress(Time now)
    {
        if (now >= turn_) {
            running_ = !running_;
            const auto mean = running_ ? runs_ : waits_;
            turn_ =
                now + Time(std::uniform_int_distribution<Time::rep>(0, 2 * mean.count())(random_));
        }
        if (running_)
            station_.engine->progress(now);
    }
    [[nodiscard]] Time next() const
    {
        return running_ ? std::min(turn_, station_.engine->deadline()) : turn_;
    }

private:
    Station& station_;
    Time runs_, waits_;
    std::mt19937_64 random_;
    Time turn_{};
    bool running_ = false;
};

/// A host that is emulated, say: it sleeps when there is nothing to do, takes long to be woken, and
/// then some time for each frame.
class Slow {
public:
    Slow(Station& station, Time woken, Time frame) : station_(station), woken_(woken), frame_(frame)
    {
    }
    void progress(Time now)
    {
        if (now < free_)
            return;
        const auto before = frames();
        station_.engine->progress(now);
        const auto done = frames() - before;
        free_ = now + (done == 0 ? woken_ : done * frame_);
    }
    [[nodiscard]] Time next() const { return free_; }

private:
    [[nodiscard]] Time::rep frames() const
    {
        return static_cast<Time::rep>(counter(station_, Counter::frames_sent) +
                                      counter(station_, Counter::frames_received));
    }
    Station& station_;
    Time woken_, frame_;
    Time free_{};
};

/// Bits per second that arrive between two hosts of a kind.
template <class Host>
double rate(const std::function<Host(Station&)>& host)
{
    World world(1);
    LinkOptions link;
    link.bits_per_second = 1'000'000'000;
    link.delay = 20us;
    auto& left = world.add({}, link);
    auto& right = world.add({}, link);
    Pair pair(world, left, right);
    constexpr std::size_t size = 256 * 1024;
    constexpr std::size_t messages = 120;
    Memories memories(pair, size);
    for (std::size_t i = 0; i < messages; ++i)
        memories.write();
    auto one = host(left);
    auto other = host(right);
    const auto began = world.now;
    while (pair.a.poll() < messages && world.now < began + 20s) {
        auto next = std::min({world.network.next(), one.next(), other.next()});
        world.now = std::max(world.now + 1us, next);
        world.network.deliver(world.now);
        one.progress(world.now);
        other.progress(world.now);
    }
    CHECK(pair.a.poll() == messages);
    return static_cast<double>(8 * size * messages) /
           std::chrono::duration<double>(world.now - began).count();
}

/// Both run for so long and wait for so long, on average.
double shared_rate(Time runs, Time waits)
{
    std::uint64_t seed = 0;
    return rate<Shared>([&](Station& station) { return Shared(station, runs, waits, ++seed); });
}

double slow_rate(Time woken, Time frame)
{
    return rate<Slow>([&](Station& station) { return Slow(station, woken, frame); });
}

} // namespace

TEST_CASE("Congestion: what hosts that run only now and then add to a round trip is no queue")
{
    const auto quiet = shared_rate(1s, 0s);
    CHECK(quiet > 0.9e9);
    struct Case {
        Time waits;
        double part;
    };
    for (const auto& [waits, part] :
         {Case{100us, 0.9}, Case{500us, 0.7}, Case{1ms, 0.6}, Case{3ms, 0.25}}) {
        INFO("runs 1 ms and waits " << waits.count() << " ns, on average");
        CHECK(shared_rate(1ms, waits) / quiet >= part);
    }
}

TEST_CASE("Congestion: hosts that are slow to wake get so much at once that it matters little")
{
    constexpr auto frame = 20us;
    const auto quick = slow_rate(0us, frame);
    struct Case {
        Time woken;
        double part;
    };
    for (const auto& [woken, part] : {Case{200us, 0.8}, Case{1ms, 0.8}, Case{5ms, 0.5}}) {
        INFO("woken in " << woken.count() << " ns; " << frame.count() << " us a frame");
        CHECK(slow_rate(woken, frame) / quick >= part);
    }
}
