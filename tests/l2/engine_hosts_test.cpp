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

/// Bits per second that arrive.
double rate(Time runs, Time waits)
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
    Shared one(left, runs, waits, 1);
    Shared other(right, runs, waits, 2);
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

} // namespace

TEST_CASE("Congestion: what hosts that run only now and then add to a round trip is no queue")
{
    const auto quiet = rate(1s, 0s);
    CHECK(quiet > 0.9e9);
    struct Case {
        Time waits;
        double part;
    };
    for (const auto& [waits, part] :
         {Case{100us, 0.9}, Case{500us, 0.7}, Case{1ms, 0.6}, Case{3ms, 0.25}}) {
        INFO("runs 1 ms and waits " << waits.count() << " ns, on average");
        CHECK(rate(1ms, waits) / quiet >= part);
    }
}
