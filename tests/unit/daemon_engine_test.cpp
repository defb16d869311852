// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/daemon_fake.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::daemon;
using namespace p2prdma::daemon::test;

namespace {

struct Ids {
    std::uint32_t memory = 0;
    std::uint32_t cq = 0;
    std::uint32_t qp = 0;
    std::uint32_t event = 0;
    std::uint32_t counter = 0;
    std::uint32_t region = 0;
    std::uint32_t handle = 0;
};

std::uint32_t id_of(const p2prdma_message& reply)
{
    REQUIRE(reply.status == 0);
    return Bench::body<p2prdma_id_reply>(reply).id;
}

p2prdma_message destroy(Bench& bench, std::uint16_t op, std::uint32_t id, std::uint32_t client = 1)
{
    return bench.ask(op, p2prdma_id_request{.id = id, .__reserved = 0}, client);
}

p2prdma_message allocate(Bench& bench, std::uint64_t length, std::uint32_t client = 1)
{
    return bench.ask(P2PRDMA_OP_MEM_ALLOC,
                     p2prdma_mem_alloc_request{.length = length, .flags = 0, .__reserved = 0},
                     client);
}

/// Everything that a client can have, of one each.
Ids make_all(Bench& bench, std::uint32_t client = 1)
{
    Ids ids;
    ids.memory = id_of(allocate(bench, 5000, client));
    ids.cq = id_of(bench.ask(P2PRDMA_OP_CQ_CREATE,
                             p2prdma_cq_create_request{.adapter = 0, .entries = 64}, client));
    p2prdma_qp_create_request qp = {};
    qp.send_cq = qp.receive_cq = ids.cq;
    qp.send_entries = qp.receive_entries = 16;
    ids.qp = id_of(bench.ask(P2PRDMA_OP_QP_CREATE, qp, client));
    ids.event = id_of(bench.ask(P2PRDMA_OP_EVENT_CREATE,
                                p2prdma_event_create_request{.adapter = 0, .flags = 0}, client));
    p2prdma_counter_create_request counter = {};
    counter.qp = ids.qp;
    counter.ops = 1;
    counter.target = ids.event;
    ids.counter = id_of(bench.ask(P2PRDMA_OP_COUNTER_CREATE, counter, client));
    p2prdma_mr_reg_request region = {};
    region.memory = ids.memory;
    region.length = 8192;
    region.access = 1;
    ids.region = id_of(bench.ask(P2PRDMA_OP_MR_REG, region, client));
    ids.handle = id_of(bench.ask(P2PRDMA_OP_AH_CREATE, p2prdma_ah_create_request{}, client));
    return ids;
}

} // namespace

TEST_CASE("daemon: opening announces the epoch and rings")
{
    Bench bench;
    CHECK(bench.card.host().magic == P2PRDMA_CONTROL_MAGIC);
    CHECK(bench.card.host().version == P2PRDMA_CONTROL_VERSION);
    CHECK(bench.card.host().epoch == FakeCard::epoch);
    CHECK(bench.card.host().state == P2PRDMA_CONTROL_SERVING);
    CHECK(bench.rings == 1);
}

TEST_CASE("daemon: HELLO comes first, once, and agrees on a version")
{
    Bench bench;
    CHECK(allocate(bench, 4096).status == EPROTO);
    p2prdma_hello_request future = {};
    future.version_min = 2;
    future.version_max = 3;
    CHECK(bench.ask(P2PRDMA_OP_HELLO, future).status == EOPNOTSUPP);
    const auto reply = bench.hello();
    CHECK(reply.status == 0);
    CHECK(reply.length == sizeof(p2prdma_hello_reply));
    const auto body = Bench::body<p2prdma_hello_reply>(reply);
    CHECK(body.version == 1);
    CHECK(body.epoch == FakeCard::epoch);
    CHECK(body.adapters == 2);
    CHECK(bench.hello().status == EPROTO);
}

TEST_CASE("daemon: HELLO tells what is offered, and refuses who needs more")
{
    const auto ask = [](Bench& bench, std::uint64_t needed) {
        p2prdma_hello_request request = {};
        request.version_min = request.version_max = 1;
        request.capabilities = needed;
        return bench.ask(P2PRDMA_OP_HELLO, request);
    };
    const auto offered = [&](Bench& bench, std::uint64_t needed) {
        const auto reply = ask(bench, needed);
        REQUIRE(reply.status == 0);
        return Bench::body<p2prdma_hello_reply>(reply).capabilities;
    };
    constexpr std::uint64_t all = P2PRDMA_HELLO_DIRECT | P2PRDMA_HELLO_STREAMS;
    Bench bench;
    CHECK(ask(bench, 1 << 2).status == EOPNOTSUPP);
    CHECK(ask(bench, std::uint64_t(1) << 63).status == EOPNOTSUPP);
    CHECK(offered(bench, all) == all);
    Bench silent({.streams = 0});
    CHECK(ask(silent, P2PRDMA_HELLO_STREAMS).status == EOPNOTSUPP);
    CHECK(offered(silent, P2PRDMA_HELLO_DIRECT) == P2PRDMA_HELLO_DIRECT);
    Bench far;
    far.provider.caps = P2PRDMA_ADAPTER_RDMA_READ | P2PRDMA_ADAPTER_RDMA_WRITE;
    CHECK(ask(far, P2PRDMA_HELLO_DIRECT).status == EOPNOTSUPP);
    CHECK(offered(far, 0) == P2PRDMA_HELLO_STREAMS);
}

TEST_CASE("daemon: headers and bodies are checked")
{
    Bench bench;
    bench.hello();
    const auto status = [&](p2prdma_message message) {
        message.epoch = FakeCard::epoch;
        message.id = 99;
        bench.card.put_message(message);
        bench.engine.serve(bench.now);
        const auto reply = bench.card.take();
        return reply ? static_cast<int>(reply->status) : -1;
    };
    p2prdma_message message = {};
    message.client = 1;
    message.op = 1000;
    CHECK(status(message) == ENOSYS);
    message.op = P2PRDMA_OP_MEM_ALLOC;
    message.length = sizeof(p2prdma_mem_alloc_request) - 1;
    CHECK(status(message) == EPROTO);
    message.length = 65535;
    CHECK(status(message) == EPROTO);
    message.length = P2PRDMA_CONTROL_BODY;
    CHECK(status(message) == EINVAL); // a longer body with zeroes is understood: length is 0
    message.body[100] = 1;
    CHECK(status(message) == EPROTO);
    message = {};
    message.op = P2PRDMA_OP_MEM_ALLOC;
    CHECK(status(message) == EPROTO); // client 0
    message.client = 1;
    message.status = 1;
    CHECK(status(message) == EPROTO);
}

TEST_CASE("daemon: a message of another epoch is dropped")
{
    Bench bench;
    p2prdma_message message = {};
    message.epoch = FakeCard::epoch - 1;
    message.op = P2PRDMA_OP_HELLO;
    message.client = 1;
    bench.card.put_message(message);
    bench.engine.serve(bench.now);
    CHECK_FALSE(bench.card.take());
    CHECK(bench.card.host().request_tail == 1);
}

TEST_CASE("daemon: an id of another client, kind or time is not found")
{
    Bench bench;
    bench.hello(1);
    bench.hello(2);
    const auto id = id_of(allocate(bench, 4096, 1));
    CHECK(destroy(bench, P2PRDMA_OP_MEM_FREE, id, 2).status == ENOENT);
    CHECK(destroy(bench, P2PRDMA_OP_CQ_DESTROY, id, 1).status == ENOENT);
    CHECK(destroy(bench, P2PRDMA_OP_MEM_FREE, id, 1).status == 0);
    CHECK(destroy(bench, P2PRDMA_OP_MEM_FREE, id, 1).status == ENOENT);
    CHECK(destroy(bench, P2PRDMA_OP_MEM_FREE, 0, 1).status == ENOENT);
}

TEST_CASE("daemon: R2.4 a region lies within its memory")
{
    Bench bench;
    bench.hello();
    p2prdma_mr_reg_request region = {};
    region.memory = id_of(allocate(bench, 8192));
    region.access = 7;
    const auto status = [&](std::uint64_t offset, std::uint64_t length) {
        region.offset = offset;
        region.length = length;
        return bench.ask(P2PRDMA_OP_MR_REG, region).status;
    };
    CHECK(status(0, 8192) == 0);
    CHECK(status(8191, 1) == 0);
    CHECK(status(0, 8193) == EINVAL);
    CHECK(status(8192, 1) == EINVAL);
    CHECK(status(1, 8192) == EINVAL);
    CHECK(status(0, 0) == EINVAL);
    CHECK(status(UINT64_MAX, 2) == EINVAL);
    CHECK(status(2, UINT64_MAX) == EINVAL);
}

TEST_CASE("daemon: what others depend on stays")
{
    Bench bench;
    bench.hello();
    const auto ids = make_all(bench);
    CHECK(destroy(bench, P2PRDMA_OP_MEM_FREE, ids.memory).status == EBUSY);
    CHECK(destroy(bench, P2PRDMA_OP_CQ_DESTROY, ids.cq).status == EBUSY);
    CHECK(destroy(bench, P2PRDMA_OP_EVENT_DESTROY, ids.event).status == EBUSY);
    CHECK(destroy(bench, P2PRDMA_OP_MR_DEREG, ids.region).status == 0);
    CHECK(destroy(bench, P2PRDMA_OP_MEM_FREE, ids.memory).status == 0);
    CHECK(destroy(bench, P2PRDMA_OP_COUNTER_DESTROY, ids.counter).status == 0);
    CHECK(bench.world.counters == 1); // it counts until its queue pair goes
    CHECK(destroy(bench, P2PRDMA_OP_EVENT_DESTROY, ids.event).status == 0);
    CHECK(bench.world.events == 1);
    CHECK(destroy(bench, P2PRDMA_OP_QP_DESTROY, ids.qp).status == 0);
    CHECK(bench.world.counters == 0);
    CHECK(bench.world.events == 0);
    CHECK(destroy(bench, P2PRDMA_OP_CQ_DESTROY, ids.cq).status == 0);
    CHECK(destroy(bench, P2PRDMA_OP_AH_DESTROY, ids.handle).status == 0);
    CHECK(bench.world.all() == 0);
    CHECK(bench.card.grants(P2PRDMA_GRANT_FREE) == P2PRDMA_CONTROL_GRANT_COUNT - 1);
}

TEST_CASE("daemon: a client that is gone leaves nothing, in the right order")
{
    Bench bench;
    bench.hello(1);
    bench.hello(2);
    make_all(bench, 1);
    make_all(bench, 2);
    CHECK(bench.world.sessions == 2); // R2.3: an adapter is never open for two clients at once
    bench.world.record = true;
    const p2prdma_message reply = bench.ask(P2PRDMA_OP_CLIENT_GONE, std::array<char, 0>(), 1);
    CHECK(reply.status == 0);
    const auto position = [&](const char* what) {
        return std::ranges::find(bench.world.order, what) - bench.world.order.begin();
    };
    CHECK(position("qp") < position("cq"));
    CHECK(position("qp") < position("counter"));
    CHECK(position("counter") < position("event"));
    CHECK(position("region") < position("memory"));
    CHECK(bench.world.all() == 7); // the other's
    CHECK(bench.world.sessions == 1);
    CHECK(bench.engine.clients() == 1);
    CHECK(bench.hello(1).status == 0); // the number may come again
}

TEST_CASE("daemon: memory is given to nobody before the card has unmapped it")
{
    Bench bench;
    bench.hello();
    const auto id = id_of(allocate(bench, 4096));
    bench.card.put(1, P2PRDMA_OP_MEM_FREE, p2prdma_id_request{.id = id, .__reserved = 0});
    bench.engine.serve(bench.now);
    CHECK_FALSE(bench.card.take());
    CHECK(bench.card.grants(P2PRDMA_GRANT_REVOKED) == 1);
    CHECK(bench.world.memories == 1);
    REQUIRE(bench.engine.due());

    SECTION("the card unmaps it")
    {
        bench.card.acknowledge();
        bench.engine.serve(bench.now);
        CHECK(bench.card.take()->status == 0);
        CHECK(bench.world.memories == 0);
        CHECK(bench.card.grants(P2PRDMA_GRANT_REVOKED) == 0);
    }
    SECTION("the card does not: it is answered, and the memory kept")
    {
        bench.engine.serve(bench.now + std::chrono::milliseconds(999));
        CHECK_FALSE(bench.card.take());
        bench.engine.serve(bench.now + std::chrono::milliseconds(1001));
        CHECK(bench.card.take()->status == 0);
        CHECK(bench.world.memories == 1);
        bench.card.acknowledge();
        bench.engine.serve(bench.now + std::chrono::seconds(5));
        CHECK(bench.world.memories == 0);
    }
    SECTION("the client goes")
    {
        bench.ask(P2PRDMA_OP_CLIENT_GONE, std::array<char, 0>());
        CHECK(bench.world.memories == 0);
    }
}

TEST_CASE(
    "daemon: the card is rung for a grant given or taken back, not for one that is free again")
{
    Bench bench;
    bench.hello();
    auto rings = bench.rings;
    const auto id = id_of(allocate(bench, 4096));
    CHECK(bench.rings == ++rings); // with the reply
    bench.card.put(1, P2PRDMA_OP_MEM_FREE, p2prdma_id_request{.id = id, .__reserved = 0});
    bench.engine.serve(bench.now);
    CHECK(bench.rings == ++rings);
    bench.engine.serve(bench.now + std::chrono::milliseconds(1001));
    REQUIRE(bench.card.take()->status == 0); // the card did not answer
    CHECK(bench.rings == ++rings);
    bench.card.acknowledge();
    bench.engine.serve(bench.now + std::chrono::seconds(5));
    CHECK(bench.card.grants(P2PRDMA_GRANT_REVOKED) == 0);
    CHECK(bench.rings == rings);
}

TEST_CASE("daemon: quotas")
{
    Quota quota;
    quota.memory = 64 << 10;
    quota.queue_pairs = 2;
    quota.objects = 12;
    quota.streams = 1;
    quota.grants = 10;
    Bench bench(quota);
    bench.hello(1);
    bench.hello(2);
    SECTION("of memory")
    {
        const auto id = id_of(allocate(bench, 64 << 10));
        CHECK(allocate(bench, 1).status == ENOSPC);
        CHECK(allocate(bench, 4096, 2).status == 0); // the other client's is its own
        destroy(bench, P2PRDMA_OP_MEM_FREE, id);
        CHECK(allocate(bench, 1).status == 0);
    }
    SECTION("of memory, in completion queues")
    {
        CHECK(
            bench
                .ask(P2PRDMA_OP_CQ_CREATE, p2prdma_cq_create_request{.adapter = 0, .entries = 4096})
                .status == ENOSPC);
        CHECK(bench.world.cqs == 0);
    }
    SECTION("of grants")
    {
        for (int i = 0; i < 10; i++)
            CHECK(allocate(bench, 1).status == 0);
        CHECK(allocate(bench, 1).status == ENOSPC);
        CHECK(bench.world.memories == 10);
    }
    SECTION("of objects")
    {
        for (int i = 0; i < 12; i++)
            CHECK(bench.ask(P2PRDMA_OP_AH_CREATE, p2prdma_ah_create_request{}).status == 0);
        CHECK(bench.ask(P2PRDMA_OP_AH_CREATE, p2prdma_ah_create_request{}).status == ENOSPC);
    }
    SECTION("of queue pairs")
    {
        p2prdma_qp_create_request qp = {};
        qp.send_cq = qp.receive_cq = id_of(bench.ask(
            P2PRDMA_OP_CQ_CREATE, p2prdma_cq_create_request{.adapter = 0, .entries = 64}));
        qp.send_entries = 1;
        CHECK(bench.ask(P2PRDMA_OP_QP_CREATE, qp).status == 0);
        CHECK(bench.ask(P2PRDMA_OP_QP_CREATE, qp).status == 0);
        CHECK(bench.ask(P2PRDMA_OP_QP_CREATE, qp).status == ENOSPC);
    }
}

TEST_CASE("daemon: a queue pair's completion queues are of its adapter")
{
    Bench bench;
    bench.hello();
    p2prdma_qp_create_request qp = {};
    qp.send_cq = qp.receive_cq = id_of(
        bench.ask(P2PRDMA_OP_CQ_CREATE, p2prdma_cq_create_request{.adapter = 1, .entries = 64}));
    qp.send_entries = 1;
    CHECK(bench.ask(P2PRDMA_OP_QP_CREATE, qp).status == EINVAL);
    qp.adapter = 1;
    CHECK(bench.ask(P2PRDMA_OP_QP_CREATE, qp).status == 0);
}

TEST_CASE("daemon: windows that were taken away are taken back, and the rest goes on")
{
    Bench bench;
    bench.hello();
    const auto ids = make_all(bench);
    // Of the fake's objects the engine can be told any.
    struct Unknown : Object {
    } unknown;
    bench.engine.lose(unknown);
    CHECK(bench.card.grants(P2PRDMA_GRANT_REVOKED) == 0);
    bench.world.adapter_gone = true;
    CHECK(bench.ask(P2PRDMA_OP_AH_CREATE, p2prdma_ah_create_request{}).status == ENODEV);
    CHECK(allocate(bench, 4096).status == 0);
    CHECK(destroy(bench, P2PRDMA_OP_QP_DESTROY, ids.qp).status == 0);
}

TEST_CASE("daemon: the card's machine that leaves, or lies about its indices, ends the epoch")
{
    Bench bench;
    bench.hello();
    make_all(bench);
    SECTION("it leaves")
    {
        bench.card.card().epoch = P2PRDMA_CONTROL_LEFT;
    }
    SECTION("it starts anew")
    {
        bench.card.card().epoch = 0;
    }
    SECTION("a wild index of requests")
    {
        bench.card.card().request_head += P2PRDMA_CONTROL_SLOTS + 1;
    }
    SECTION("an index of requests that goes back")
    {
        bench.card.card().request_head--;
    }
    SECTION("a wild index of replies")
    {
        bench.card.card().reply_tail++;
    }
    CHECK_THROWS_AS(bench.engine.serve(bench.now), EpochOver);
}

TEST_CASE("daemon: replies wait for room, requests for replies")
{
    Bench bench;
    bench.hello();
    for (std::uint32_t i = 0; i < P2PRDMA_CONTROL_SLOTS; i++)
        bench.card.put(1, 1000, std::array<char, 0>());
    bench.engine.serve(bench.now);
    for (std::uint32_t i = 0; i < 10; i++)
        bench.card.put(1, 1000, std::array<char, 0>());
    bench.engine.serve(bench.now);
    CHECK(bench.card.host().request_tail == 1 + P2PRDMA_CONTROL_SLOTS);
    CHECK(bench.engine.due());
    for (std::uint32_t i = 0; i < 10; i++)
        CHECK(bench.card.take()->status == ENOSYS);
    bench.engine.serve(bench.now);
    CHECK(bench.card.host().request_tail == 11 + P2PRDMA_CONTROL_SLOTS);
}

TEST_CASE("daemon: a client has two calls under way, no more")
{
    Bench bench;
    bench.network.ready = false;
    bench.hello();
    p2prdma_stream_request listen = {};
    listen.port = 7000;
    p2prdma_stream_request accept = {};
    accept.id = id_of(bench.ask(P2PRDMA_OP_STREAM_LISTEN, listen));
    accept.wait_ms = 1000;
    for (int i = 0; i < 3; i++)
        bench.card.put(1, P2PRDMA_OP_STREAM_ACCEPT, accept);
    bench.engine.serve(bench.now);
    CHECK(bench.card.take()->status == EAGAIN);
    CHECK_FALSE(bench.card.take());
    bench.hello(2); // others are served meanwhile
    bench.engine.serve(bench.now + std::chrono::milliseconds(1001));
    CHECK(bench.card.take()->status == EAGAIN);
    CHECK(bench.card.take()->status == EAGAIN);
}

TEST_CASE("daemon: streams")
{
    Bench bench;
    bench.hello();
    p2prdma_stream_request connect = {};
    connect.port = 7000;
    std::memcpy(connect.host, "peer", 5);
    const auto id = id_of(bench.ask(P2PRDMA_OP_STREAM_CONNECT, connect));
    p2prdma_stream_send_request send = {};
    send.id = id;
    send.length = sizeof(send.data);
    SECTION("sends all of a message, at once or later")
    {
        bench.network.last.lock()->room = 100;
        bench.card.put(1, P2PRDMA_OP_STREAM_SEND, send);
        bench.engine.serve(bench.now);
        CHECK_FALSE(bench.card.take());
        bench.network.last.lock()->room = 1000;
        bench.engine.serve(bench.now);
        CHECK(bench.card.take()->status == 0);
        CHECK(bench.network.last.lock()->sent == sizeof(send.data));
    }
    SECTION("sends nothing of it if there is no room")
    {
        bench.network.last.lock()->room = 0;
        CHECK(bench.ask(P2PRDMA_OP_STREAM_SEND, send).status == EAGAIN);
    }
    SECTION("checks lengths")
    {
        send.length++;
        CHECK(bench.ask(P2PRDMA_OP_STREAM_SEND, send).status == EINVAL);
        send.length = 0;
        CHECK(bench.ask(P2PRDMA_OP_STREAM_SEND, send).status == EINVAL);
        p2prdma_stream_request receive = {};
        receive.id = id;
        CHECK(bench.ask(P2PRDMA_OP_STREAM_RECEIVE, receive).status == EINVAL);
        receive.length = P2PRDMA_CONTROL_BODY + 1;
        CHECK(bench.ask(P2PRDMA_OP_STREAM_RECEIVE, receive).status == EINVAL);
        receive.length = 13;
        receive.wait_ms = 10001;
        CHECK(bench.ask(P2PRDMA_OP_STREAM_RECEIVE, receive).status == EINVAL);
        receive.wait_ms = 0;
        CHECK(bench.ask(P2PRDMA_OP_STREAM_RECEIVE, receive).length == 13);
    }
    SECTION("close wakes whoever waits")
    {
        bench.network.last.lock()->ready = false;
        p2prdma_stream_request receive = {};
        receive.id = id;
        receive.length = 1;
        receive.wait_ms = 10000;
        bench.card.put(1, P2PRDMA_OP_STREAM_RECEIVE, receive);
        bench.engine.serve(bench.now);
        CHECK_FALSE(bench.card.take());
        bench.card.put(1, P2PRDMA_OP_STREAM_CLOSE, p2prdma_id_request{.id = id, .__reserved = 0});
        bench.engine.serve(bench.now);
        CHECK(bench.card.take()->status == 0);
        bench.engine.serve(bench.now);
        CHECK(bench.card.take()->op == P2PRDMA_OP_STREAM_RECEIVE);
        CHECK(bench.world.streams == 0);
    }
}

TEST_CASE("daemon: the end takes all grants back and waits until the card has unmapped them")
{
    Bench bench;
    bench.hello();
    make_all(bench);
    bench.engine.close();
    CHECK(bench.card.host().state == P2PRDMA_CONTROL_CLOSED);
    CHECK(bench.card.grants(P2PRDMA_GRANT_VALID) == 0);
    CHECK_FALSE(bench.engine.quiet());
    bench.card.acknowledge();
    CHECK(bench.engine.quiet());
}
