// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Completion queues, event queues and their interrupts.
#include "tests/unit/efa_fake_driver.hpp"
#include "tools/lab/efa/registers.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace lab;
using namespace lab::efa;
using namespace lab::efa::test;

namespace {

constexpr std::uint16_t eq_depth = 4;

/// Queues by themselves, in memory of an adapter.
struct Queues {
    Queues()
    {
        eq_base = driver.allocate(4096);
        cq_base = driver.allocate(4096);
        events = std::make_shared<EventQueue>(
            driver.adapter.dma(), counters,
            EventQueue::Ring{.base = eq_base, .depth = eq_depth, .vector = 3},
            [this](unsigned vector) {
                CHECK(vector == 3);
                ++interrupts;
            });
    }
    std::shared_ptr<CompletionQueue> make(std::uint32_t depth, std::uint32_t entry_size)
    {
        CompletionQueue::Ring ring{
            .base = cq_base, .depth = depth, .entry_size = entry_size, .set_source_address = false};
        return std::make_shared<CompletionQueue>(driver.adapter.dma(), counters, std::uint16_t{9},
                                                 ring, events);
    }
    static void arm(CompletionQueue& cq, std::uint32_t consumed)
    {
        cq.ring((consumed & 0xffff) | reg::cq_db_arm);
    }
    EventEntry event(std::uint32_t index)
    {
        EventEntry entry{};
        std::memcpy(&entry, driver.at(eq_base + index % eq_depth * 16, 16).data(), 16);
        return entry;
    }

    EventLoop loop;
    Fabric fabric{loop};
    FakeDriver driver{loop, fabric, "a"};
    Counters counters;
    std::uint64_t eq_base;
    std::uint64_t cq_base;
    std::shared_ptr<EventQueue> events;
    int interrupts = 0;
};

} // namespace

TEST_CASE_METHOD(Queues, "completions carry the pass's phase, in entries of either size",
                 "[efa][cq]")
{
    unsigned entry_size = 16;
    SECTION("16 bytes") {}
    SECTION("32 bytes")
    {
        entry_size = 32;
    }
    auto cq = make(4, entry_size);
    for (std::uint16_t i = 0; i < 13; ++i) {
        Completion completion{};
        completion.head.req_id = i;
        completion.extension.fill(0xee);
        cq->post(completion);
        Completion seen{};
        std::memcpy(&seen, driver.at(cq_base + i % 4 * entry_size, entry_size).data(), entry_size);
        CHECK(seen.head.req_id == i);
        CHECK((seen.head.flags & CompletionHead::phase) == (i / 4 % 2 == 0 ? 1 : 0));
    }
    CHECK(driver.at(cq_base + 4 * entry_size, 1)[0] == std::byte{0});
    CHECK(counters.completions == 13);
}

TEST_CASE_METHOD(Queues, "an armed queue tells of the next completion, once", "[efa][cq]")
{
    auto cq = make(16, 32);
    events->arm();
    cq->post({});
    CHECK(counters.events == 0);
    arm(*cq, 1);
    CHECK(counters.events == 0);
    cq->post({});
    CHECK(counters.events == 1);
    CHECK(interrupts == 1);
    CHECK(event(0).cqn == 9);
    CHECK(event(0).common == EventEntry::phase);
    cq->post({});
    CHECK(counters.events == 1);
}

TEST_CASE_METHOD(Queues, "a completion that came before the arming is told at once", "[efa][cq]")
{
    auto cq = make(16, 32);
    cq->post({});
    arm(*cq, 0); // software had not seen it when it rang
    CHECK(counters.events == 1);
    SECTION("but not twice, though software has not consumed it yet")
    {
        arm(*cq, 0);
        CHECK(counters.events == 1);
        cq->post({});
        CHECK(counters.events == 2);
    }
}

TEST_CASE_METHOD(Queues, "a doorbell without the arm bit asks for nothing", "[efa][cq]")
{
    auto cq = make(16, 32);
    cq->ring(0);
    cq->post({});
    CHECK(counters.events == 0);
}

TEST_CASE_METHOD(Queues, "one interrupt for each arming of the event queue", "[efa][eq]")
{
    events->arm();
    events->post(1);
    events->post(2);
    CHECK(interrupts == 1);
    events->arm(); // the second event came after the interrupt: the driver may have missed it
    CHECK(interrupts == 2);
    events->arm();
    CHECK(interrupts == 2);
    events->post(3);
    CHECK(interrupts == 3);
}

TEST_CASE_METHOD(Queues, "the event ring wraps, and its phase turns", "[efa][eq]")
{
    for (std::uint16_t i = 0; i < 11; ++i) {
        events->post(i);
        CHECK(event(i).cqn == i);
        CHECK((event(i).common & EventEntry::phase) == (i / eq_depth % 2 == 0 ? 1u : 0u));
    }
}

TEST_CASE_METHOD(Queues, "closed queues write nothing", "[efa][cq]")
{
    auto cq = make(16, 32);
    arm(*cq, 0);
    cq->close();
    cq->post({});
    events->close();
    events->post(1);
    CHECK(counters.completions == 0);
    CHECK(counters.events == 0);
    CHECK(driver.at(cq_base, 4)[3] == std::byte{0});
}

TEST_CASE("a completion's event and interrupt follow it", "[efa][cq]")
{
    EventLoop loop;
    Fabric fabric(loop);
    FakeDriver driver(loop, fabric, "a");
    admin::CreateEq command{};
    command.depth = 16;
    command.vector = 1;
    command.caps = 4;
    command.base = driver.allocate(4096);
    command.event_mask = 1;
    auto eqn = driver.must<admin::Number>(admin::Opcode::create_eq, command).number;
    driver.write_register(reg::eq_db, eqn | reg::eq_db_arm);

    auto pd = driver.alloc_pd();
    auto uar = driver.alloc_uar();
    FakeCq cq(driver, uar, 16, eqn);
    CHECK(driver.execute(admin::Opcode::destroy_eq, admin::Number{eqn, 0}) ==
          admin::Status::resource_busy);
    admin::CreateQp create{};
    create.pd = pd;
    create.uar = uar;
    create.qp_type = admin::qp_type_srd;
    create.send_cq = create.receive_cq = cq.number;
    create.sq_depth = 16;
    create.sq_ring_size = 1024;
    auto qp = driver.must<admin::CreateQpResponse>(admin::Opcode::create_qp, create);
    auto before = driver.adapter.interrupts();
    cq.arm();
    driver.settle();
    // The error state completes what is posted.
    admin::ModifyQp modify{};
    modify.mask = admin::ModifyQp::mask_state;
    modify.handle = qp.handle;
    modify.state = static_cast<std::uint32_t>(QpState::error);
    REQUIRE(driver.execute(admin::Opcode::modify_qp, modify) == admin::Status::success);
    driver.ring(qp.sq_doorbell, 1);
    CHECK(cq.next().head.status == CompletionStatus::flushed);
    CHECK(driver.adapter.interrupts() == before + 2); // one for the admin command
    CHECK(driver.counter("events") == 1);
}

TEST_CASE("impossible completion and event queues are refused", "[efa][cq]")
{
    EventLoop loop;
    Fabric fabric(loop);
    FakeDriver driver(loop, fabric, "a");
    admin::CreateCq good{};
    good.caps2 = 8;
    good.depth = 16;
    good.base = driver.allocate(4096);
    good.sub_cqs = 1;
    good.uar = driver.alloc_uar();
    auto refused = [&](auto change) {
        admin::CreateCq bad = good;
        change(bad);
        return driver.execute(admin::Opcode::create_cq, bad) == admin::Status::illegal_parameter;
    };
    CHECK(refused([](auto& c) { c.depth = 15; }));
    CHECK(refused([](auto& c) { c.depth = 0; }));
    CHECK(refused([](auto& c) { c.caps2 = 5; }));
    CHECK(refused([](auto& c) { c.caps2 = 4 | admin::CreateCq::caps2_set_source_address; }));
    CHECK(refused([](auto& c) { c.caps2 |= admin::CreateCq::caps2_req_id_64; }));
    CHECK(refused([](auto& c) { c.caps1 = admin::CreateCq::caps1_virt; }));
    CHECK(refused([](auto& c) { c.caps1 = admin::CreateCq::caps1_interrupt; })); // no such EQ
    CHECK(refused([](auto& c) { c.sub_cqs = 2; }));
    CHECK(refused([](auto& c) { c.uar = 9; }));
    CHECK(driver.execute(admin::Opcode::create_cq, good) == admin::Status::success);

    admin::CreateEq eq{};
    eq.depth = 16;
    eq.vector = 33; // one too many
    eq.caps = 4;
    CHECK(driver.execute(admin::Opcode::create_eq, eq) == admin::Status::illegal_parameter);
    eq.vector = 32;
    CHECK(driver.execute(admin::Opcode::create_eq, eq) == admin::Status::success);
    eq.depth = 24;
    CHECK(driver.execute(admin::Opcode::create_eq, eq) == admin::Status::illegal_parameter);
}
