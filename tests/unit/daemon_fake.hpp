// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/engine.hpp"
#include "tools/p2prdmad/network.hpp"
#include "tools/p2prdmad/provider.hpp"
#include "tools/p2prdmad/refusal.hpp"

#include <linux/p2prdma_control.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace p2prdma::daemon::test {

/// What exists in the fake card and adapter, so that leaks and wrong orders are seen.
struct World {
    int memories = 0;
    int regions = 0;
    int cqs = 0;
    int qps = 0;
    int handles = 0;
    int events = 0;
    int counters = 0;
    int sessions = 0;
    int streams = 0;
    std::uint64_t next_offset = 0;
    bool adapter_gone = false;
    bool wrong_order = false;       ///< something went before what depended on it
    std::vector<std::string> order; ///< what went, if `record`
    bool record = false;

    int all() const
    {
        return memories + regions + cqs + qps + handles + events + counters + streams;
    }
    void gone(const char* what)
    {
        if (record)
            order.emplace_back(what);
    }
};

/// Counts an object of one kind.
class Counted {
public:
    Counted(World& world, int World::*kind, const char* name)
        : world_(world), kind_(kind), name_(name)
    {
        ++(world_.*kind_);
    }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted()
    {
        --(world_.*kind_);
        world_.gone(name_);
    }

private:
    World& world_;
    int World::*kind_;
    const char* name_;
};

struct FakeMemory final : Target {
    FakeMemory(World& world, std::uint64_t bytes) : counted(world, &World::memories, "memory")
    {
        length = (bytes + 4095) / 4096 * 4096;
        place = {P2PRDMA_GRANT_POOL, world.next_offset, length, false, false};
        world.next_offset += length;
    }
    int dmabuf() const noexcept override { return -1; }
    Counted counted;
};

struct FakeEvent final : Event {
    FakeEvent(World& world, bool relayed) : counted(world, &World::events, "event")
    {
        length = 0xff0;
        page = static_cast<std::uint32_t>(world.events);
        place = {P2PRDMA_GRANT_DOORBELL, page, 4096, true, true};
        kind = relayed ? P2PRDMA_EVENT_RELAY : P2PRDMA_EVENT_P2P;
        reason = relayed ? "the client asked for it" : "";
    }
    int dmabuf() const noexcept override { return -1; }
    Counted counted;
};

struct FakeRegion final : Region {
    FakeRegion(World& world, std::shared_ptr<Target> of)
        : target(std::move(of)), counted(world, &World::regions, "region")
    {
        lkey = 11;
        rkey = 22;
    }
    std::shared_ptr<Target> target;
    Counted counted;
};

struct FakeCq final : CompletionQueue {
    FakeCq(World& world, std::uint32_t wished) : counted(world, &World::cqs, "cq")
    {
        entries = wished;
        entry_size = 32;
        place = {P2PRDMA_GRANT_POOL, 0, (std::uint64_t(wished) * 32 + 4095) / 4096 * 4096, true,
                 false};
    }
    Counted counted;
};

struct FakeCounter final : Counter {
    FakeCounter(World& world, std::shared_ptr<Target> of)
        : target(std::move(of)), counted(world, &World::counters, "counter")
    {
    }
    std::shared_ptr<Target> target;
    Counted counted;
};

struct FakeQp final : QueuePair {
    FakeQp(World& world, const QueuePairWish& wish)
        : send_cq(wish.send_cq), receive_cq(wish.receive_cq), counted(world, &World::qps, "qp")
    {
        number = 77;
        send = queue(wish.send_entries);
        receive = queue(wish.receive_entries);
    }
    static WorkQueue queue(std::uint32_t entries)
    {
        const Placement window = {P2PRDMA_GRANT_WINDOW, 0x10000, 4096, false, false};
        return {.ring = window, .doorbell = window, .entry_size = 64, .entries = entries};
    }
    std::shared_ptr<CompletionQueue> send_cq;
    std::shared_ptr<CompletionQueue> receive_cq;
    std::vector<std::shared_ptr<Counter>> counters;
    Counted counted;
};

struct FakeHandle final : AddressHandle {
    explicit FakeHandle(World& world) : counted(world, &World::handles, "ah") { number = 5; }
    Counted counted;
};

class FakeSession final : public AdapterSession {
public:
    explicit FakeSession(World& world) : world_(world), counted_(world, &World::sessions, "session")
    {
    }

    std::shared_ptr<Region> register_target(const std::shared_ptr<Target>& target,
                                            std::uint64_t offset, std::uint64_t length,
                                            std::uint32_t access) override
    {
        require();
        if (access & ~7u)
            throw Refusal(EINVAL, "access");
        if (offset + length < offset || offset + length > target->length || !length)
            throw std::logic_error("an unchecked range");
        return std::make_shared<FakeRegion>(world_, target);
    }
    std::shared_ptr<CompletionQueue> create_cq(std::uint32_t entries) override
    {
        require();
        if (entries > 32768)
            throw Refusal(EINVAL, "entries");
        return std::make_shared<FakeCq>(world_, entries);
    }
    std::shared_ptr<QueuePair> create_qp(const QueuePairWish& wish) override
    {
        require();
        if (!wish.send_cq || !wish.receive_cq)
            throw std::logic_error("a queue pair without completion queues");
        return std::make_shared<FakeQp>(world_, wish);
    }
    std::shared_ptr<AddressHandle> create_ah(const std::array<std::uint8_t, 16>&) override
    {
        require();
        return std::make_shared<FakeHandle>(world_);
    }
    std::shared_ptr<Counter> create_counter(const std::shared_ptr<QueuePair>& qp, std::uint32_t,
                                            const std::shared_ptr<Target>& target,
                                            std::uint64_t offset) override
    {
        require();
        if (offset % 8 || offset + 8 > target->length)
            throw std::logic_error("an unchecked offset");
        auto counter = std::make_shared<FakeCounter>(world_, target);
        dynamic_cast<FakeQp&>(*qp).counters.push_back(counter); // throws if it is none
        return counter;
    }

private:
    void require() const
    {
        if (world_.adapter_gone)
            throw Refusal(ENODEV, "gone");
    }

    World& world_;
    Counted counted_;
};

class FakeProvider final : public Provider {
public:
    explicit FakeProvider(World& world) : world_(world) {}

    std::uint32_t adapters() const override { return 2; }
    AdapterInfo query(std::uint32_t adapter) override
    {
        AdapterInfo info;
        info.caps = caps;
        info.name = "fake_" + std::to_string(adapter);
        info.reason = std::string(300, 'x');
        return info;
    }
    std::unique_ptr<AdapterSession> open(std::uint32_t adapter) override
    {
        if (adapter >= 2)
            throw std::logic_error("an unchecked adapter");
        return std::make_unique<FakeSession>(world_);
    }
    std::shared_ptr<Target> allocate(std::uint64_t length, bool, bool) override
    {
        return std::make_shared<FakeMemory>(world_, length);
    }
    std::shared_ptr<Event> create_event(std::uint32_t, bool relayed) override
    {
        if (world_.events >= 31)
            throw Refusal(ENOSPC, "all doorbell pages are in use");
        return std::make_shared<FakeEvent>(world_, relayed);
    }
    void watch(std::vector<pollfd>&) override {}
    std::vector<const Object*> attend() override { return {}; }

    std::uint32_t caps = 31; ///< of its adapters

private:
    World& world_;
};

/// A stream without a peer: connects, accepts and receives when the test says so.
struct FakeStream final : Stream {
    explicit FakeStream(World& in) : world(in), counted(in, &World::streams, "stream") {}

    int fd() const noexcept override { return -1; }
    short events() const noexcept override { return POLLIN; }
    bool connected() override { return ready; }
    std::shared_ptr<Stream> accept() override
    {
        return ready ? std::make_shared<FakeStream>(world) : nullptr;
    }
    std::optional<std::size_t> send(std::span<const std::byte> bytes) override
    {
        if (!room)
            return std::nullopt;
        const auto taken = std::min(bytes.size(), room);
        room -= taken;
        sent += taken;
        return taken;
    }
    std::optional<std::size_t> receive(std::span<std::byte> into) override
    {
        if (!ready)
            return std::nullopt;
        std::ranges::fill(into, std::byte(7));
        return into.size();
    }
    void shutdown() noexcept override { ready = true; }

    World& world;
    Counted counted;
    bool ready = false;
    std::size_t room = SIZE_MAX;
    std::size_t sent = 0;
};

class FakeNetwork final : public Network {
public:
    explicit FakeNetwork(World& world) : world_(world) {}

    std::shared_ptr<Stream> listen(std::uint16_t) override { return make(); }
    std::shared_ptr<Stream> connect(const std::string&, std::uint16_t) override { return make(); }

    bool ready = true;              ///< of streams to come
    std::weak_ptr<FakeStream> last; ///< made

private:
    std::shared_ptr<FakeStream> make()
    {
        auto stream = std::make_shared<FakeStream>(world_);
        stream->ready = ready;
        last = stream;
        return stream;
    }

    World& world_;
};

/// The card's kernel: a control area, and what it does with it.
class FakeCard {
public:
    static constexpr std::uint32_t epoch = 0x1234;

    FakeCard() : memory_(P2PRDMA_CONTROL_SIZE) {}

    std::span<volatile std::byte> area() { return memory_; }
    template <typename T>
    T* at(std::size_t offset)
    {
        return reinterpret_cast<T*>(const_cast<std::byte*>(&memory_[offset]));
    }
    p2prdma_control_host& host() { return *at<p2prdma_control_host>(P2PRDMA_CONTROL_HOST); }
    p2prdma_control_card& card() { return *at<p2prdma_control_card>(P2PRDMA_CONTROL_CARD); }
    p2prdma_grant& grant(std::uint32_t number)
    {
        return at<p2prdma_grant>(P2PRDMA_CONTROL_GRANTS)[number];
    }
    p2prdma_message& request_slot(std::uint32_t index)
    {
        return at<p2prdma_message>(P2PRDMA_CONTROL_REQUESTS)[index % P2PRDMA_CONTROL_SLOTS];
    }
    p2prdma_message& reply_slot(std::uint32_t index)
    {
        return at<p2prdma_message>(P2PRDMA_CONTROL_REPLIES)[index % P2PRDMA_CONTROL_SLOTS];
    }

    void join() { card().epoch = epoch; }
    /// Puts a request; returns its id.
    template <typename T>
    std::uint32_t put(std::uint32_t client, std::uint16_t op, const T& body)
    {
        return put_bytes(client, op, std::as_bytes(std::span(&body, 1)));
    }
    std::uint32_t put_bytes(std::uint32_t client, std::uint16_t op, std::span<const std::byte> body)
    {
        p2prdma_message message = {};
        message.epoch = epoch;
        message.op = op;
        message.length = static_cast<__le16>(body.size());
        message.client = client;
        message.id = ++last_id_;
        if (!body.empty())
            std::memcpy(message.body, body.data(), body.size());
        put_message(message);
        return message.id;
    }
    void put_message(const p2prdma_message& message)
    {
        request_slot(card().request_head) = message;
        card().request_head++;
    }
    /// The next reply, if there is one.
    std::optional<p2prdma_message> take()
    {
        if (card().reply_tail == host().reply_head)
            return std::nullopt;
        return reply_slot(card().reply_tail++);
    }
    /// Unmaps what was taken back.
    void acknowledge()
    {
        for (std::uint32_t i = 1; i < P2PRDMA_CONTROL_GRANT_COUNT; i++)
            if (grant(i).state == P2PRDMA_GRANT_REVOKED)
                card().revoked[i] = grant(i).generation;
    }
    std::uint32_t grants(std::uint32_t state)
    {
        std::uint32_t count = 0;
        for (std::uint32_t i = 1; i < P2PRDMA_CONTROL_GRANT_COUNT; i++)
            count += grant(i).state == state;
        return count;
    }

private:
    std::vector<std::byte> memory_;
    std::uint32_t last_id_ = 0;
};

/// An engine between a fake card and a fake adapter.
struct Bench {
    explicit Bench(Quota quota = {})
        : engine(Area(card.area()), {FakeCard::epoch, quota, "host", [this] { rings++; }}, provider,
                 network, log)
    {
        engine.open();
        card.join();
    }

    /// The reply to a request, served at once.
    template <typename T>
    p2prdma_message ask(std::uint16_t op, const T& body, std::uint32_t client = 1)
    {
        const auto id = card.put(client, op, body);
        engine.serve(now);
        for (int i = 0; i < 3; i++) {
            if (auto reply = card.take(); reply && reply->id == id)
                return *reply;
            card.acknowledge();
            engine.serve(now);
        }
        throw std::runtime_error("no reply");
    }
    template <typename T>
    static T body(const p2prdma_message& reply)
    {
        T value;
        std::memcpy(&value, reply.body, sizeof(value));
        return value;
    }
    p2prdma_message hello(std::uint32_t client = 1)
    {
        p2prdma_hello_request request = {};
        request.version_min = request.version_max = 1;
        std::memcpy(request.name, "test", 5);
        return ask(P2PRDMA_OP_HELLO, request, client);
    }

    World world;
    FakeProvider provider{world};
    FakeNetwork network{world};
    FakeCard card;
    Log log{nullptr};
    int rings = 0;
    Clock::time_point now = Clock::now();
    Engine engine;
};

} // namespace p2prdma::daemon::test
