// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Two adapters, a queue pair on each: messages, and what becomes of them.
#include "tests/unit/efa_fake_driver.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <nlohmann/json.hpp>

using namespace lab;
using namespace lab::efa;
using namespace lab::efa::test;

namespace {

using Status = CompletionStatus;

std::span<const std::byte> bytes_of(const SendBuffer& buffer)
{
    return std::as_bytes(std::span(&buffer, 1));
}

std::string describe(const Completion& c)
{
    return "req " + std::to_string(c.head.req_id) + " status " +
           std::to_string(static_cast<int>(c.head.status));
}

struct Messages : Pair {
    explicit Messages(QpOptions options = {})
        : Pair(options), from(a.register_region(requester.pd, 65536)),
          to(b.register_region(responder.pd, 65536))
    {
        auto data = pattern(from.bytes.size());
        std::copy(data.begin(), data.end(), from.bytes.begin());
    }
    /// The next completion of a queue is this one.
    static void expect(FakeCq& cq, std::uint16_t req_id, Status status)
    {
        Completion completion = cq.next();
        INFO(describe(completion));
        CHECK(completion.head.req_id == req_id);
        CHECK(completion.head.status == status);
    }
    bool quiet(FakeCq& cq)
    {
        a.settle();
        return !cq.poll();
    }

    Region from;
    Region to;
};

struct Datagrams : Messages {
    Datagrams() : Messages({.reliable = false}) {}
};

} // namespace

TEST_CASE_METHOD(Messages, "a message arrives, and both ends are told", "[efa][send]")
{
    responder.post_receive(to, 8192, 7);
    requester.send(from, 5000, 3);
    Completion received = responder.cq.next();
    CHECK(received.head.req_id == 7);
    CHECK(received.head.status == Status::ok);
    CHECK(received.head.qp_num == responder.number);
    CHECK(received.length == 5000);
    CHECK(received.source_qp == requester.number);
    CHECK(received.ah == responder.peer_ah);
    CHECK((received.head.flags >> CompletionHead::queue_type_shift & 3) ==
          static_cast<int>(QueueType::receive));
    CHECK((received.head.flags & CompletionHead::has_imm) == 0);
    CHECK(std::equal(to.bytes.begin(), to.bytes.begin() + 5000, from.bytes.begin()));
    CHECK(to.bytes[5000] == std::byte{0});
    expect(requester.cq, 3, Status::ok);
}

TEST_CASE_METHOD(Messages, "a message of no bytes is one", "[efa][send]")
{
    responder.post_receive(to, 64, 7);
    requester.send(from, 0, 3);
    CHECK(responder.cq.next().length == 0);
    expect(requester.cq, 3, Status::ok);
}

TEST_CASE_METHOD(Messages, "rings wrap, and phases turn", "[efa][send]")
{
    for (std::uint16_t i = 0; i < 150; ++i) {
        responder.post_receive(to, 64, i);
        requester.send(from, 64, i);
        expect(responder.cq, i, Status::ok);
        expect(requester.cq, i, Status::ok);
    }
}

TEST_CASE_METHOD(Messages, "buffers are gathered and scattered", "[efa][send]")
{
    std::array<SendBuffer, 2> buffers{SendBuffer{100, from.lkey, from.iova + 10},
                                      SendBuffer{200, from.lkey, from.iova + 4000}};
    std::array<ReceiveDescriptor, 2> pieces{
        ReceiveDescriptor{to.iova + 1, 9, 150, to.lkey | ReceiveDescriptor::first},
        ReceiveDescriptor{to.iova + 5000, 0, 500, to.lkey | ReceiveDescriptor::last}};
    auto ring = b.at(responder.rq_base, sizeof(pieces));
    std::memcpy(ring.data(), pieces.data(), sizeof(pieces));
    b.ring(responder.receive_doorbell, 2);

    SendMeta meta = requester.request(Opcode::send, 1);
    meta.length = 2;
    requester.put(meta, std::as_bytes(std::span(buffers)));
    requester.ring();
    CHECK(responder.cq.next().length == 300);
    std::vector<std::byte> sent(from.bytes.begin() + 10, from.bytes.begin() + 110);
    sent.insert(sent.end(), from.bytes.begin() + 4000, from.bytes.begin() + 4200);
    CHECK(std::equal(sent.begin(), sent.begin() + 150, to.bytes.begin() + 1));
    CHECK(std::equal(sent.begin() + 150, sent.end(), to.bytes.begin() + 5000));
    CHECK(to.bytes[151] == std::byte{0});
}

TEST_CASE("inline data and immediate data travel in the element", "[efa][send]")
{
    Messages m({.sq_entry_size = 128});
    auto data = pattern(80, 5);
    m.responder.post_receive(m.to, 100, 7);
    SendMeta meta = m.requester.request(Opcode::send, 1);
    meta.ctrl1 |= SendMeta::ctrl1_inline | SendMeta::ctrl1_has_imm;
    meta.immediate = 0xcafe1234;
    meta.length = 80;
    m.requester.put(meta, data);
    m.requester.ring();
    Completion received = m.responder.cq.next();
    CHECK(received.length == 80);
    CHECK(received.immediate == 0xcafe1234);
    CHECK((received.head.flags & CompletionHead::has_imm) != 0);
    CHECK(std::equal(data.begin(), data.end(), m.to.bytes.begin()));
}

TEST_CASE_METHOD(Messages, "completions come only where asked for, errors always", "[efa][send]")
{
    responder.post_receive(to, 64, 0);
    SendMeta meta = requester.request(Opcode::send, 1);
    meta.ctrl2 = static_cast<std::uint8_t>(meta.ctrl2 & ~SendMeta::ctrl2_comp_req);
    meta.length = 1;
    requester.put(meta, bytes_of(SendBuffer{8, from.lkey, from.iova}));
    requester.ring();
    expect(responder.cq, 0, Status::ok);
    CHECK(quiet(requester.cq));
    CHECK(a.counter("send_requests") == 1);

    meta.req_id = 2;
    requester.put(meta, bytes_of(SendBuffer{8, from.lkey ^ 1, from.iova}));
    requester.ring();
    expect(requester.cq, 2, Status::invalid_lkey);
}

TEST_CASE_METHOD(Messages, "a doorbell ahead of its element stops the queue", "[efa][send]")
{
    SendMeta meta = requester.request(Opcode::send, 5);
    meta.ctrl2 |= SendMeta::ctrl2_phase; // that of the second pass
    meta.length = 1;
    requester.put(meta, bytes_of(SendBuffer{8, from.lkey, from.iova}));
    requester.ring();
    expect(requester.cq, 5, Status::qp_internal_error);
    CHECK(a.counter("phase_errors") == 1);
    auto state =
        a.must<admin::QueryQpResponse>(admin::Opcode::query_qp, admin::QpHandle{requester.number});
    CHECK(state.state == static_cast<std::uint32_t>(QpState::error));
}

TEST_CASE_METHOD(Messages, "requests that cannot be are completed with the reason", "[efa][send]")
{
    auto attempt = [&](auto change, SendBuffer buffer) {
        SendMeta meta = requester.request(Opcode::send, 1);
        meta.length = 1;
        change(meta);
        requester.put(meta, bytes_of(buffer));
        requester.ring();
        return requester.cq.next().head.status;
    };
    SendBuffer good{8, from.lkey, from.iova};
    auto same = [](SendMeta&) {};
    CHECK(attempt(same, {8, from.lkey, from.iova + 65529}) == Status::invalid_lkey);
    CHECK(attempt(same, {8, from.lkey, from.iova - 1}) == Status::invalid_lkey);
    CHECK(attempt(same, {8, from.lkey + 1, from.iova}) == Status::invalid_lkey);
    CHECK(attempt(same, {0xffffffff, from.lkey, from.iova}) == Status::bad_length);
    CHECK(attempt(same, {Limits::mtu + 1, from.lkey, from.iova}) == Status::bad_length);
    CHECK(attempt([](SendMeta& m) { m.length = 3; }, good) == Status::bad_length);
    CHECK(attempt([](SendMeta& m) { m.ah = 99; }, good) == Status::invalid_ah);
    auto foreign = a.create_ah(a.alloc_pd(), b.adapter.gid());
    CHECK(attempt([&](SendMeta& m) { m.ah = foreign; }, good) == Status::invalid_ah);
    CHECK(attempt([](SendMeta& m) { m.ctrl1 |= 0xf; }, good) == Status::unsupported_op);
    CHECK(attempt([](SendMeta& m) { m.dest_qp_num ^= 0x4000; }, good) ==
          Status::remote_bad_dest_qpn);
    CHECK(attempt([](SendMeta& m) { m.qkey = 1; }, good) == Status::remote_bad_dest_qpn);
    CHECK(b.counter("qkey_violations") == 1);

    responder.post_receive(to, 64, 0); // and the queue still works
    CHECK(attempt(same, good) == Status::ok);
}

TEST_CASE_METHOD(Messages, "one byte inside the bounds is inside", "[efa][send]")
{
    responder.post_receive(to, 64, 0);
    requester.send(from, 8, 1, 65528);
    expect(requester.cq, 1, Status::ok);
}

TEST_CASE_METHOD(Messages, "another domain's region is not reachable", "[efa][send]")
{
    auto foreign = a.register_region(a.alloc_pd(), 4096);
    requester.send(foreign, 8, 1);
    expect(requester.cq, 1, Status::invalid_lkey);
}

TEST_CASE_METHOD(Messages, "a message waits for its receive buffer", "[efa][rnr]")
{
    for (std::uint16_t i = 0; i < 5; ++i)
        requester.send(from, 16, i, i * 16u);
    CHECK(quiet(requester.cq));
    CHECK(a.counter("rnr") == 5);
    for (std::uint16_t i = 0; i < 5; ++i) {
        responder.post_receive(to, 64, static_cast<std::uint16_t>(10 + i), i * 64u);
        expect(responder.cq, static_cast<std::uint16_t>(10 + i), Status::ok);
        expect(requester.cq, i, Status::ok);
        CHECK(std::equal(to.bytes.begin() + i * 64, to.bytes.begin() + i * 64 + 16,
                         from.bytes.begin() + i * 16));
    }
}

TEST_CASE("those who wait do not stop those who need not", "[efa][rnr]")
{
    Messages m({.sq_depth = 64});
    for (std::uint16_t i = 0; i < 50; ++i) // more than may be on the fabric
        m.requester.send(m.from, 16, i);
    CHECK(m.quiet(m.requester.cq));
    CHECK(m.a.counter("rnr") == 50);
    m.requester.rdma(Opcode::rdma_write, m.from, m.to.iova, m.to.rkey, 100, 50);
    Messages::expect(m.requester.cq, 50, Status::ok);
}

TEST_CASE("a finite RNR retry count ends the wait", "[efa][rnr]")
{
    EventLoop loop;
    Fabric fabric(loop);
    FakeDriver a(loop, fabric, "a");
    FakeDriver b(loop, fabric, "b");
    FakeQp requester(a);
    FakeQp responder(b);
    requester.connect(responder);
    requester.to_rts(1);
    responder.to_rts();
    auto from = a.register_region(requester.pd, 4096);
    auto to = b.register_region(responder.pd, 4096);
    requester.send(from, 8, 4);
    Messages::expect(requester.cq, 4, Status::remote_rnr);

    responder.post_receive(to, 64, 9); // the message is gone: the next one takes the buffer
    requester.send(from, 16, 5);
    Messages::expect(requester.cq, 5, Status::ok);
    Completion received = responder.cq.next();
    CHECK(received.length == 16);
    CHECK_FALSE(responder.cq.poll());
}

TEST_CASE_METHOD(Messages, "a message that is too long fails at both ends", "[efa][send]")
{
    responder.post_receive(to, 99, 7);
    requester.send(from, 100, 1);
    expect(requester.cq, 1, Status::remote_bad_length);
    expect(responder.cq, 7, Status::bad_length);
}

TEST_CASE_METHOD(Messages, "a bad receive buffer fails at both ends", "[efa][send]")
{
    auto read_only = b.register_region(responder.pd, 4096, Access::remote_read, 0x1000);
    responder.post_receive(read_only, 64, 7);
    requester.send(from, 8, 1);
    expect(requester.cq, 1, Status::remote_abort);
    expect(responder.cq, 7, Status::invalid_lkey);
    CHECK(read_only.bytes[0] == std::byte{0});
}

TEST_CASE_METHOD(Messages, "a receive buffer that begins nowhere stops the queue", "[efa][send]")
{
    ReceiveDescriptor broken{to.iova, 3, 64, to.lkey | ReceiveDescriptor::last};
    std::memcpy(b.at(responder.rq_base, sizeof(broken)).data(), &broken, sizeof(broken));
    b.ring(responder.receive_doorbell, 1);
    requester.send(from, 8, 1);
    expect(requester.cq, 1, Status::remote_bad_dest_qpn);
}

TEST_CASE_METHOD(Messages, "doorbells beyond a ring stop the queue", "[efa][send]")
{
    b.ring(responder.receive_doorbell, responder.options.rq_entries + 1);
    a.ring(requester.send_doorbell, requester.options.sq_depth + 1);
    a.settle();
    for (auto* qp : {&requester, &responder}) {
        auto state = qp->driver.must<admin::QueryQpResponse>(admin::Opcode::query_qp,
                                                             admin::QpHandle{qp->number});
        CHECK(state.state == static_cast<std::uint32_t>(QpState::error));
    }
}

TEST_CASE_METHOD(Messages, "more receive buffers than the ring has stop the queue", "[efa][send]")
{
    for (std::uint16_t i = 0; i < responder.options.rq_entries; ++i)
        responder.post_receive(to, 64, i);
    CHECK(quiet(responder.cq));
    responder.post_receive(to, 64, 99);
    for (std::uint16_t i = 0; i < responder.options.rq_entries; ++i)
        expect(responder.cq, i, Status::flushed);
}

TEST_CASE_METHOD(Messages, "the error state flushes what was posted and what follows",
                 "[efa][state]")
{
    requester.send(from, 8, 1); // waits for a receive buffer
    requester.post_receive(from, 64, 2);
    CHECK(quiet(requester.cq));
    requester.to(QpState::error);
    expect(requester.cq, 1, Status::flushed);
    expect(requester.cq, 2, Status::flushed);
    requester.send(from, 8, 3);
    expect(requester.cq, 3, Status::flushed);
    requester.post_receive(from, 64, 4);
    expect(requester.cq, 4, Status::flushed);
}

TEST_CASE_METHOD(Messages, "requests posted early are executed once the state allows",
                 "[efa][state]")
{
    requester.to(QpState::sqd);
    responder.post_receive(to, 64, 9);
    requester.send(from, 8, 1);
    CHECK(quiet(requester.cq));
    requester.to(QpState::rts);
    expect(requester.cq, 1, Status::ok);
}

TEST_CASE_METHOD(Messages, "a queue pair works again after a reset", "[efa][state]")
{
    for (std::uint16_t i = 0; i < 20; ++i) { // more than one pass
        responder.post_receive(to, 64, i);
        requester.send(from, 8, i);
        expect(requester.cq, i, Status::ok);
        expect(responder.cq, i, Status::ok);
    }
    requester.to(QpState::reset);
    // Software begins at index 0, in the phase that it was in.
    requester.to_rts();
    responder.post_receive(to, 64, 77);
    SendMeta meta = requester.request(Opcode::send, 78);
    meta.length = 1;
    meta.ctrl2 |= SendMeta::ctrl2_phase;
    requester.sq_posted = 0;
    requester.put(meta, bytes_of(SendBuffer{8, from.lkey, from.iova}));
    requester.ring();
    expect(requester.cq, 78, Status::ok);
    expect(responder.cq, 77, Status::ok);
}

TEST_CASE_METHOD(Messages, "a reset counts the passes of what was posted and not executed",
                 "[efa][state]")
{
    for (std::uint16_t i = 0; i < 12; ++i) {
        responder.post_receive(to, 64, i);
        requester.send(from, 8, i);
        expect(requester.cq, i, Status::ok);
    }
    requester.to(QpState::sqd);
    for (std::uint16_t i = 0; i < 8; ++i)
        requester.send(from, 8, i); // over the ring's end
    a.settle();
    requester.to(QpState::reset);
    requester.to_rts();
    responder.post_receive(to, 64, 77);
    SendMeta meta = requester.request(Opcode::send, 78);
    meta.ctrl2 |= SendMeta::ctrl2_phase;
    requester.sq_posted = 0;
    requester.put(meta, {});
    requester.ring();
    expect(requester.cq, 78, Status::ok);
}

TEST_CASE_METHOD(Messages, "a destination that goes completes what waits there", "[efa][gone]")
{
    requester.send(from, 8, 1);
    CHECK(quiet(requester.cq));
    SECTION("its queue pair is destroyed")
    {
        b.execute(admin::Opcode::destroy_qp, admin::QpHandle{responder.number});
    }
    SECTION("its queue pair is reset")
    {
        responder.to(QpState::reset);
    }
    SECTION("its queue pair fails")
    {
        responder.to(QpState::error);
    }
    SECTION("its adapter is reset")
    {
        b.adapter.function_reset();
    }
    expect(requester.cq, 1, Status::remote_bad_dest_qpn);
}

TEST_CASE("a destination that is not there is told apart", "[efa][gone]")
{
    EventLoop loop;
    Fabric fabric(loop);
    FakeDriver a(loop, fabric, "a");
    FakeQp requester(a);
    auto from = a.register_region(requester.pd, 4096);
    {
        FakeDriver b(loop, fabric, "b");
        FakeQp responder(b);
        requester.connect(responder);
        requester.to_rts();
        responder.to_rts();
        requester.send(from, 8, 1);
        a.settle();
    }
    Messages::expect(requester.cq, 1, Status::remote_bad_dest_qpn); // it waited, and then b went
    requester.send(from, 8, 2);
    Messages::expect(requester.cq, 2, Status::unreachable_remote);
    CHECK(a.counter("unresponsive") == 1);
}

TEST_CASE_METHOD(Messages, "replies that come late find nothing", "[efa][gone]")
{
    requester.send(from, 8, 1);
    requester.to(QpState::reset);
    responder.post_receive(to, 64, 2);
    CHECK(quiet(requester.cq));
}

TEST_CASE_METHOD(Messages, "a late reply does not complete another request", "[efa][gone]")
{
    requester.send(from, 8, 1); // waits for a receive buffer
    a.settle();
    requester.to(QpState::reset);
    requester.to_rts();
    requester.sq_posted = 0;
    requester.send(from, 8, 2); // so does this
    CHECK(quiet(requester.cq));
    responder.post_receive(to, 64, 10);
    expect(responder.cq, 10, Status::ok);
    CHECK(quiet(requester.cq)); // that was the first one, which is forgotten here
    responder.post_receive(to, 64, 11);
    expect(requester.cq, 2, Status::ok);
}

namespace {

constexpr std::uint64_t slow_base = 1ull << 40;

/// The responder's region lies where DMA takes its time.
struct SlowData : Messages {
    SlowData()
    {
        b.adapter.dma().connect(&slow);
        admin::RegMr command{};
        command.pd = responder.pd;
        command.inline_pages = {slow_base, slow_base + 4096};
        command.length = 8192;
        command.flags = 12;
        command.permissions = Access::all;
        command.iova = 0x5000;
        auto keys = b.must<admin::RegMrResponse>(admin::Opcode::reg_mr, command);
        there = {keys.lkey, keys.rkey, 0x5000, slow.memory};
    }
    ~SlowData() { b.adapter.dma().connect(nullptr); }

    SlowMemory slow{slow_base, 8192};
    Region there{};
};

} // namespace

TEST_CASE_METHOD(SlowData, "completions wait for slow data", "[efa][order]")
{
    responder.post_receive(there, 8000, 7, 100);
    requester.send(from, 6000, 1);
    CHECK(quiet(responder.cq));
    CHECK(quiet(requester.cq));
    REQUIRE(slow.waiting() > 0);
    CHECK(slow.memory[100] == std::byte{0});
    slow.release(100);
    expect(responder.cq, 7, Status::ok);
    expect(requester.cq, 1, Status::ok);
    CHECK(std::equal(from.bytes.begin(), from.bytes.begin() + 6000, slow.memory.begin() + 100));
    auto region = b.adapter.describe()["regions"].back();
    CHECK(region["lkey"] == there.lkey);
    CHECK(region["bytes_written"]["message"] == 6000);
}

TEST_CASE_METHOD(SlowData, "a queue pair destroyed under slow data still answers", "[efa][order]")
{
    responder.post_receive(there, 8000, 8);
    requester.send(from, 100, 2);
    CHECK(quiet(requester.cq));
    // The command is fetched behind the data, as all DMA is.
    std::array<std::byte, admin::payload_size> payload{};
    std::memcpy(payload.data(), &responder.number, sizeof(responder.number));
    b.submit(admin::Opcode::destroy_qp, payload, 0);
    b.settle();
    slow.release(100);
    CHECK(b.await() == admin::Status::success);
    expect(requester.cq, 2, Status::ok);
}

TEST_CASE_METHOD(SlowData, "a queue pair reset under slow data completes nothing", "[efa][order]")
{
    responder.post_receive(there, 8000, 8);
    requester.send(from, 100, 2);
    CHECK(quiet(requester.cq));
    b.adapter.function_reset();
    expect(requester.cq, 2, Status::remote_abort);
    CHECK_FALSE(responder.cq.poll());
}

TEST_CASE_METHOD(Datagrams, "a datagram arrives behind a routing header", "[efa][ud]")
{
    responder.post_receive(to, 4096, 7);
    requester.send(from, 1000, 1);
    expect(requester.cq, 1, Status::ok);
    Completion received = responder.cq.next();
    CHECK(received.length == 1000 + grh_size);
    CHECK(std::equal(from.bytes.begin(), from.bytes.begin() + 1000, to.bytes.begin() + grh_size));
    CHECK(to.bytes[0] == std::byte{0x60});
    CHECK(std::memcmp(&to.bytes[8], a.adapter.gid().data(), 16) == 0);
    CHECK(std::memcmp(&to.bytes[24], b.adapter.gid().data(), 16) == 0);
}

TEST_CASE_METHOD(Datagrams, "a datagram that is not expected is dropped", "[efa][ud]")
{
    requester.send(from, 100, 1);
    expect(requester.cq, 1, Status::ok);
    responder.post_receive(to, 100, 7); // too small by the header
    requester.send(from, 100, 2);
    expect(requester.cq, 2, Status::ok);
    CHECK(quiet(responder.cq));
    CHECK(b.counter("rx_drops") == 2);
    requester.send(from, 60, 3); // and this one fits
    expect(responder.cq, 7, Status::ok);
}

TEST_CASE_METHOD(Datagrams, "a datagram queue pair has no RDMA", "[efa][ud]")
{
    requester.rdma(Opcode::rdma_write, from, to.iova, to.rkey, 8, 1);
    expect(requester.cq, 1, Status::unsupported_op);
}

TEST_CASE("unknown senders are named by their GID where asked for", "[efa][send]")
{
    EventLoop loop;
    Fabric fabric(loop);
    FakeDriver a(loop, fabric, "a");
    FakeDriver b(loop, fabric, "b");
    FakeQp requester(a, {.reliable = false});
    auto pd = b.alloc_pd();
    auto uar = b.alloc_uar();
    FakeCq cq(b, uar, 64, std::nullopt, admin::CreateCq::caps2_set_source_address);
    FakeQp responder(b, {.reliable = false});
    admin::CreateQp command{};
    command.pd = pd;
    command.uar = uar;
    command.qp_type = admin::qp_type_ud;
    command.send_cq = command.receive_cq = cq.number;
    command.rq_base = responder.rq_base;
    command.rq_ring_size = 256;
    auto made = b.must<admin::CreateQpResponse>(admin::Opcode::create_qp, command);
    responder.number = made.qp_num;
    responder.receive_doorbell = made.rq_doorbell;
    requester.peer_ah = a.create_ah(requester.pd, b.adapter.gid());
    requester.peer_number = made.qp_num;
    requester.to_rts();
    responder.to_rts();
    auto from = a.register_region(requester.pd, 4096);
    auto to = b.register_region(pd, 4096);
    responder.post_receive(to, 100, 1);
    requester.send(from, 8, 1);
    Completion received = cq.next();
    CHECK(received.ah == unknown_ah);
    CHECK(std::memcmp(received.extension.data(), a.adapter.gid().data(), 16) == 0);
}
