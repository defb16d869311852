// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/engine.hpp"
#include "lib/l2/memory_port.hpp"
#include "lib/l2/network.hpp"
#include "lib/l2/simulated_pager.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

/// Engines on a simulated network, in virtual time.
namespace p2prdma::l2::rig {

using namespace std::chrono_literals;

inline MacAddress address_of(unsigned station)
{
    return {{2, 0, 0, 0, static_cast<std::uint8_t>(station >> 8),
             static_cast<std::uint8_t>(station & 0xff)}};
}

/// A machine: port, pager, engine.
struct Station {
    Station(Network& network, unsigned number, const DeviceOptions& options = {},
            const LinkOptions& link = {}, const SimulatedPager::Config& pages = {})
        : port(network.attach(address_of(number), link)), pager(pages), random(number),
          options_(options),
          engine(std::make_unique<Engine>(*port, pager, options, [this] { return random(); }))
    {
    }
    /// Loses all it knew.
    void restart()
    {
        restart(pager, [this] { return random(); });
    }
    void restart(Pager& memory, const RandomSource& numbers)
    {
        engine.reset();
        engine = std::make_unique<Engine>(*port, memory, options_, numbers);
    }
    /// Numbers as the station's, but that its connections begin with one of the last `count` psn
    /// before these wrap, or of the first ones after that; a power of two.
    [[nodiscard]] RandomSource near_wrap(std::uint32_t count, bool before = true)
    {
        const std::uint64_t upper = wire::psn_mask & ~(count - 1);
        return [this, upper, before] { return before ? random() | upper : random() & ~upper; };
    }

    std::unique_ptr<MemoryPort> port;
    SimulatedPager pager;
    std::mt19937_64 random;
    DeviceOptions options_;
    std::unique_ptr<Engine> engine;
};

struct World {
    explicit World(std::uint64_t seed, const NetworkOptions& options = {}) : network(seed, options)
    {
    }

    Station& add(const DeviceOptions& options = {}, const LinkOptions& link = {},
                 const SimulatedPager::Config& pages = {})
    {
        const auto number = static_cast<unsigned>(stations.size() + 1);
        stations.push_back(std::make_unique<Station>(network, number, options, link, pages));
        return *stations.back();
    }
    [[nodiscard]] Time next() const
    {
        auto next = network.next();
        for (const auto& one : stations)
            next = std::min({next, one->engine->deadline(), one->pager.next()});
        return next;
    }
    void step()
    {
        now = std::max(now + 100ns, next());
        network.deliver(now);
        for (const auto& one : stations) {
            one->pager.advance(now);
            one->engine->progress(now);
        }
    }
    /// Until it is so; false: it is not, `limit` later.
    bool run(const std::function<bool()>& done, Time limit = 60s)
    {
        for (const auto end = now + limit; now < end; step())
            if (done())
                return true;
        return done();
    }
    void run_for(Time time)
    {
        (void)run([] { return false; }, time);
    }

    Network network;
    std::vector<std::unique_ptr<Station>> stations;
    Time now = 1s;
};

/// One end of a connection, with a completion queue and what has come out of it.
struct End {
    explicit End(std::uint32_t entries = 4096) : ring(entries) {}

    [[nodiscard]] std::size_t poll()
    {
        std::array<Completion, 64> out;
        const auto count = ring.pop(out);
        completions.insert(completions.end(), out.begin(),
                           out.begin() + static_cast<std::ptrdiff_t>(count));
        return completions.size();
    }
    [[nodiscard]] std::errc post(const SendRequest& request)
    {
        std::size_t taken = 0;
        return station->engine->post_send(*connection, std::span(&request, 1), taken);
    }
    [[nodiscard]] std::errc receive(std::uint64_t id, std::span<const Segment> segments)
    {
        return station->engine->post_receive(*connection, {.id = id, .segments = segments});
    }
    [[nodiscard]] std::uint32_t add_region(std::span<std::byte> memory, Access access = Access::all,
                                           bool implicit = false)
    {
        RegisteredRange range;
        range.start = reinterpret_cast<std::uintptr_t>(memory.data());
        range.length = memory.size();
        range.domain = domain;
        range.access = access;
        range.implicit = implicit;
        return station->engine->memory().add(range);
    }

    CompletionRing ring;
    Station* station = nullptr;
    Connection* connection = nullptr;
    std::uint32_t domain = 0;
    std::vector<Completion> completions;
};

/// Two ends, connected.
struct Pair {
    Pair(World& world_, Station& left, Station& right, const QueuePairOptions& options = {})
        : world(world_)
    {
        a.station = &left;
        b.station = &right;
        for (auto* end : {&a, &b})
            end->domain = end->station->engine->new_domain();
        reconnect(options);
    }
    void reconnect(const QueuePairOptions& options = {}, std::uint32_t service = 7)
    {
        auto& server = *b.station->engine;
        (void)server.pending().listen(service, 64, nullptr);
        a.connection = a.station->engine->connect(b.station->port->address(), service,
                                                  setup(a, options), world.now);
        REQUIRE(a.connection != nullptr);
        const PendingRequest* request = nullptr;
        REQUIRE(world.run([&] { return (request = server.pending().take(service, world.now)); }));
        b.connection = server.accept(request->id, setup(b, options), world.now);
        REQUIRE(b.connection != nullptr);
        REQUIRE(world.run([&] {
            return a.connection->state() == ConnectionState::established &&
                   b.connection->state() == ConnectionState::established;
        }));
    }
    [[nodiscard]] static QueuePairSetup setup(End& end, const QueuePairOptions& options)
    {
        return {.domain = end.domain,
                .send_completions = &end.ring,
                .receive_completions = &end.ring,
                .options = options,
                .private_data = {}};
    }
    /// Until each has got so many completions in all.
    bool run(std::size_t of_a, std::size_t of_b, Time limit = 60s)
    {
        return world.run([&] { return (a.poll() >= of_a) & (b.poll() >= of_b); }, limit);
    }

    World& world;
    End a, b;
};

/// Bytes that no place is like another's.
inline std::vector<std::byte> pattern(std::size_t size, std::uint64_t seed = 1)
{
    std::mt19937_64 random(seed);
    std::vector<std::byte> bytes(size);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random());
    return bytes;
}

inline Segment segment(std::span<std::byte> memory, std::uint32_t key)
{
    return {memory.data(), static_cast<std::uint32_t>(memory.size()), key};
}

inline RemoteMemory remote(std::span<const std::byte> memory, std::uint32_t key)
{
    return {reinterpret_cast<std::uintptr_t>(memory.data()), key};
}

/// Two machines that are joined, with what most tests need. Use: `auto& [world, left, right, pair]
/// = joined`.
struct Joined {
    World world{1};
    Station& left = world.add();
    Station& right = world.add();
    Pair pair{world, left, right};
};

inline std::uint64_t counter(const Station& station, Counter which)
{
    return station.engine->counters()[which];
}

inline wire::Frame parsed(std::span<const std::byte> bytes)
{
    wire::Frame frame;
    REQUIRE(wire::parse(bytes, 0x88b5, frame) == wire::Verdict::good);
    return frame;
}

inline SendRequest write_of(std::span<const Segment> from, const RemoteMemory& to,
                            std::uint64_t id = 1)
{
    return {.id = id, .operation = Operation::write, .segments = from, .remote = to};
}

/// A pair with a piece of memory at each end.
struct Memories {
    explicit Memories(Pair& pair_, std::size_t size = 20'000)
        : pair(pair_), source(pattern(size)), target(size), source_key(pair.a.add_region(source)),
          target_key(pair.b.add_region(target)), from(segment(source, source_key)),
          to(segment(target, target_key))
    {
    }
    void write()
    {
        REQUIRE(pair.a.post(write_of(std::span(&from, 1), remote(target, target_key))) ==
                std::errc());
    }
    Pair& pair;
    std::vector<std::byte> source, target;
    std::uint32_t source_key, target_key;
    Segment from, to;
};

inline DeviceOptions with_secret(std::uint8_t first = 1)
{
    DeviceOptions options;
    options.secret.assign(32, std::byte{7});
    options.secret[0] = std::byte{first};
    return options;
}

} // namespace p2prdma::l2::rig
