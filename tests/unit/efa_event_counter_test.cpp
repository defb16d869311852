// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/efa_fake_driver.hpp"
#include "tools/lab/efa/event_counter.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace lab;
using namespace lab::efa;
using namespace lab::efa::test;

namespace {

using Command = admin::Opcode;

std::uint32_t bit(QpEvent event)
{
    return 1u << static_cast<unsigned>(event);
}

struct Counter {
    Counter(FakeDriver& d, std::uint16_t uar) : driver(d), address(d.allocate(8))
    {
        admin::CreateEventCounter command{uar, 0, address};
        handle =
            driver.must<admin::CreateEventCounterResponse>(Command::create_event_counter, command)
                .handle;
    }
    admin::Status attach(const FakeQp& qp, std::uint32_t events, bool detach = false)
    {
        admin::AttachEventCounter command{handle, 0, {}, qp.number, events};
        return driver.execute(
            detach ? Command::detach_event_counter : Command::attach_event_counter, command);
    }
    admin::Status modify(std::uint8_t operation, std::uint64_t amount)
    {
        return driver.execute(Command::modify_event_counter,
                              admin::ModifyEventCounter{handle, operation, {}, amount});
    }
    std::uint64_t value()
    {
        std::uint64_t number = 0;
        std::memcpy(&number, driver.at(address, 8).data(), 8);
        return number;
    }

    FakeDriver& driver;
    std::uint64_t address;
    std::uint32_t handle = 0;
};

struct Counting : Pair {
    Counting()
        : from(a.register_region(requester.pd, 65536)), to(b.register_region(responder.pd, 65536))
    {
    }

    Region from;
    Region to;
    Counter here{a, requester.uar};
    Counter errors{a, requester.uar};
    Counter there{b, responder.uar};
};

} // namespace

TEST_CASE_METHOD(Counting, "a counter counts what it is attached to, behind the completion",
                 "[efa][counter]")
{
    REQUIRE(here.attach(requester, bit(QpEvent::send) | bit(QpEvent::write)) ==
            admin::Status::success);
    REQUIRE(errors.attach(requester, bit(QpEvent::send_error)) == admin::Status::success);
    REQUIRE(there.attach(responder, bit(QpEvent::receive)) == admin::Status::success);
    responder.post_receive(to, 64, 1);
    requester.send(from, 8, 1);
    CHECK(requester.cq.next().head.status == CompletionStatus::ok);
    CHECK(here.value() == 1);
    CHECK(there.value() == 1);
    requester.rdma(Opcode::rdma_write, from, to.iova, to.rkey, 60000, 2);
    CHECK(requester.cq.next().head.status == CompletionStatus::ok);
    CHECK(here.value() == 2);
    requester.rdma(Opcode::rdma_read, from, to.iova, to.rkey, 8, 2);
    CHECK(requester.cq.next().head.status == CompletionStatus::ok);
    CHECK(here.value() == 2);
    from.lkey ^= 1;
    requester.send(from, 8, 3);
    requester.cq.next();
    CHECK(errors.value() == 1);
    CHECK(here.value() == 2);
}

TEST_CASE_METHOD(Counting, "requests without completion are counted too", "[efa][counter]")
{
    REQUIRE(here.attach(requester, bit(QpEvent::send)) == admin::Status::success);
    responder.post_receive(to, 64, 1);
    SendMeta meta = requester.request(Opcode::send, 1);
    meta.ctrl2 = static_cast<std::uint8_t>(meta.ctrl2 & ~SendMeta::ctrl2_comp_req);
    requester.put(meta, {});
    requester.ring();
    CHECK(a.run_until([&] { return here.value() == 1; }));
    CHECK_FALSE(requester.cq.poll());
}

TEST_CASE_METHOD(Counting, "what others do here counts once for each request", "[efa][counter]")
{
    REQUIRE(there.attach(responder, bit(QpEvent::remote_write)) == admin::Status::success);
    requester.rdma(Opcode::rdma_write, from, to.iova, to.rkey, 65536, 1);
    CHECK(requester.cq.next().head.status == CompletionStatus::ok);
    CHECK(there.value() == 1);
    REQUIRE(there.attach(responder, bit(QpEvent::remote_read)) == admin::Status::success);
    requester.rdma(Opcode::rdma_read, from, to.iova, to.rkey, 65536, 1);
    CHECK(requester.cq.next().head.status == CompletionStatus::ok);
    CHECK(there.value() == 2);
}

TEST_CASE_METHOD(Counting, "software sets a counter, and adds to it", "[efa][counter]")
{
    CHECK(here.modify(admin::ModifyEventCounter::operation_set, 100) == admin::Status::success);
    CHECK(here.value() == 100);
    CHECK(here.modify(admin::ModifyEventCounter::operation_add, 5) == admin::Status::success);
    CHECK(here.value() == 105);
    CHECK(here.modify(2, 5) == admin::Status::illegal_parameter);
}

TEST_CASE_METHOD(Counting, "one counter for each event, and none goes while attached",
                 "[efa][counter]")
{
    using admin::Status;
    std::uint32_t both = bit(QpEvent::send) | bit(QpEvent::read);
    CHECK(here.attach(requester, both) == Status::success);
    CHECK(errors.attach(requester, bit(QpEvent::read) | bit(QpEvent::write)) ==
          Status::resource_busy);
    CHECK(errors.attach(requester, bit(QpEvent::write)) == Status::success);
    CHECK(here.attach(requester, all_qp_events + 1) == Status::illegal_parameter);
    CHECK(errors.attach(requester, bit(QpEvent::read), true) == Status::illegal_parameter);
    auto destroy = [&](Counter& counter) {
        return a.execute(Command::destroy_event_counter, admin::CounterHandle{counter.handle});
    };
    CHECK(destroy(here) == Status::resource_busy);
    CHECK(here.attach(requester, both, true) == Status::success);
    CHECK(destroy(here) == Status::success);
    CHECK(destroy(here) == Status::illegal_parameter);
    CHECK(destroy(errors) == Status::resource_busy);
    CHECK(a.execute(Command::destroy_qp, admin::QpHandle{requester.number}) == Status::success);
    CHECK(destroy(errors) == Status::success);
}

TEST_CASE_METHOD(Counting, "impossible counters are refused", "[efa][counter]")
{
    using admin::Status;
    CHECK(a.execute(Command::create_event_counter,
                    admin::CreateEventCounter{requester.uar, 0, 4}) == Status::illegal_parameter);
    CHECK(a.execute(Command::create_event_counter, admin::CreateEventCounter{99, 0, 8}) ==
          Status::illegal_parameter);
    requester.number = 0x7777;
    CHECK(here.attach(requester, 1) == Status::illegal_parameter);
    here.handle = 999;
    CHECK(here.modify(0, 1) == Status::illegal_parameter);
}
