// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/efa_fake_driver.hpp"
#include "tools/lab/efa/registers.hpp"

#include <catch2/catch_test_macros.hpp>
#include <linux/pci_regs.h>
#include <nlohmann/json.hpp>
#include <stdexcept>

using namespace lab;
using namespace lab::efa;
using namespace lab::efa::test;
using Command = admin::Opcode;
using admin::Status;

namespace {

struct Fixture {
    EventLoop loop;
    Fabric fabric{loop};
    FakeDriver driver{loop, fabric, "a.efa0"};

    Status registration(std::uint64_t iova, std::uint64_t length, std::uint8_t shift = 12)
    {
        admin::RegMr command{};
        command.pd = driver.alloc_pd();
        command.inline_pages = {0x1000, 0x2000, 0x3000, 0x4000};
        command.length = length;
        command.flags = shift;
        command.iova = iova;
        return driver.execute(Command::reg_mr, command);
    }
};

std::string gid_of(const EfaAdapter& adapter)
{
    return adapter.describe()["gid"];
}

} // namespace

TEST_CASE_METHOD(Fixture, "registers are read by way of memory", "[efa][adapter]")
{
    CHECK(driver.read_register(reg::version) == 1);
    CHECK(driver.read_register(reg::dev_sts) == reg::dev_sts_ready);
    CHECK(driver.read_register(reg::end) == 0xffffffff);
}

TEST_CASE_METHOD(Fixture, "nothing happens inside a register write", "[efa][adapter]")
{
    std::uint64_t before = driver.adapter.dma().bytes_written()[Route::host_dram];
    driver.write_register(reg::mmio_reg_read, 1);
    std::array<std::byte, admin::payload_size> none{};
    driver.submit(Command::alloc_pd, none, 0);
    CHECK(driver.adapter.dma().bytes_written()[Route::host_dram] == before);
    CHECK(driver.adapter.dma().bytes_read()[Route::host_dram] == 0);
    CHECK(driver.await() == Status::success);
}

TEST_CASE_METHOD(Fixture, "a reset goes on and off, and forgets everything", "[efa][adapter]")
{
    auto pd = driver.alloc_pd();
    driver.write_register(reg::dev_ctl, reg::dev_ctl_reset);
    driver.start_admin_queue();
    CHECK((driver.read_register(reg::dev_sts) & reg::dev_sts_reset_in_progress) != 0);
    driver.write_register(reg::dev_ctl, 0);
    CHECK((driver.read_register(reg::dev_sts) & reg::dev_sts_reset_in_progress) == 0);
    CHECK((driver.read_register(reg::dev_sts) & reg::dev_sts_ready) != 0);
    CHECK(driver.execute(Command::dealloc_pd, admin::Number{pd, 0}) == Status::illegal_parameter);
}

TEST_CASE_METHOD(Fixture, "admin completions raise the interrupt unless masked", "[efa][adapter]")
{
    auto before = driver.adapter.interrupts();
    driver.alloc_pd();
    CHECK(driver.adapter.interrupts() == before + 1);
    driver.write_register(reg::intr_mask, reg::intr_mask_masked);
    driver.alloc_pd();
    CHECK(driver.adapter.interrupts() == before + 1);
}

TEST_CASE_METHOD(Fixture, "the admin rings wrap, and their phase turns", "[efa][adapter]")
{
    for (unsigned i = 0; i < 3 * FakeDriver::admin_depth + 5; ++i) {
        auto pd = driver.alloc_pd();
        REQUIRE(driver.execute(Command::dealloc_pd, admin::Number{pd, 0}) == Status::success);
    }
}

TEST_CASE_METHOD(Fixture, "commands that are none are refused by name", "[efa][adapter]")
{
    CHECK(driver.execute(static_cast<Command>(0)) == Status::bad_opcode);
    CHECK(driver.execute(static_cast<Command>(200)) == Status::bad_opcode);
    CHECK(driver.execute(static_cast<Command>(20)) == Status::unsupported_opcode);
    CHECK(driver.counter("admin_errors") == 3);
}

TEST_CASE_METHOD(Fixture, "an admin ring that cannot be is a fatal error", "[efa][adapter]")
{
    driver.write_register(reg::dev_ctl, reg::dev_ctl_reset);
    driver.write_register(reg::dev_ctl, 0);
    driver.start_admin_queue();
    driver.write_register(reg::aq_caps, 31 | 64u << reg::aq_entry_size_shift);
    driver.write_register(reg::aq_prod_db, 1);
    CHECK((driver.read_register(reg::dev_sts) & reg::dev_sts_fatal_error) != 0);
}

TEST_CASE_METHOD(Fixture, "an entry of the wrong phase is malformed", "[efa][adapter]")
{
    driver.write_register(reg::aq_prod_db, 1); // nothing was written
    CHECK(driver.await() == Status::malformed_request);
}

TEST_CASE_METHOD(Fixture, "regions that cannot be are refused", "[efa][adapter]")
{
    CHECK(registration(0x1000, 0x4000) == Status::success);
    CHECK(registration(0x1000, 0) == Status::illegal_parameter);
    CHECK(registration(0x1800, 0x4000) == Status::illegal_parameter); // five pages, four given
    CHECK(registration(~0ull, 2) == Status::illegal_parameter);
    CHECK(registration(0x1000, 0x1000, 40) == Status::illegal_parameter);
    CHECK(registration(0x1000, 0x1000, 13) == Status::illegal_parameter); // 0x1000 is no 8 KiB page
}

TEST_CASE_METHOD(Fixture, "a page list that is too short, or nowhere, is refused", "[efa][adapter]")
{
    admin::RegMr command{};
    command.pd = driver.alloc_pd();
    command.page_list = {39, driver.allocate(4096)};
    command.length = 5 * 4096;
    command.flags = 12;
    constexpr auto listed = admin::SubmissionHead::ctrl_data;
    CHECK(driver.execute(Command::reg_mr, command, listed) == Status::illegal_parameter);
    command.page_list.length = 40;
    CHECK(driver.execute(Command::reg_mr, command, listed) == Status::success);
    command.page_list.address = 1ull << 40;
    CHECK(driver.execute(Command::reg_mr, command, listed) == Status::unknown_error);
    command.pd = 99;
    CHECK(driver.execute(Command::reg_mr, command, listed) == Status::illegal_parameter);
}

TEST_CASE_METHOD(Fixture, "what is in use is not destroyed", "[efa][adapter]")
{
    FakeQp qp(driver);
    auto region = driver.register_region(qp.pd, 4096);
    CHECK(driver.execute(Command::dealloc_pd, admin::Number{qp.pd, 0}) == Status::resource_busy);
    CHECK(driver.execute(Command::dealloc_uar, admin::Number{qp.uar, 0}) == Status::resource_busy);
    CHECK(driver.execute(Command::destroy_cq, admin::Number{qp.cq.number, 0}) ==
          Status::resource_busy);
    CHECK(driver.execute(Command::destroy_qp, admin::QpHandle{qp.number}) == Status::success);
    CHECK(driver.execute(Command::destroy_cq, admin::Number{qp.cq.number, 0}) == Status::success);
    CHECK(driver.execute(Command::dereg_mr, admin::DeregMr{region.lkey}) == Status::success);
    CHECK(driver.execute(Command::dealloc_uar, admin::Number{qp.uar, 0}) == Status::success);
    CHECK(driver.execute(Command::dealloc_pd, admin::Number{qp.pd, 0}) == Status::success);
}

TEST_CASE_METHOD(Fixture, "what does not exist is not destroyed", "[efa][adapter]")
{
    for (auto opcode : {Command::dealloc_pd, Command::dealloc_uar, Command::destroy_cq,
                        Command::destroy_eq, Command::destroy_ah, Command::dereg_mr,
                        Command::destroy_qp, Command::query_qp, Command::modify_qp})
        CHECK(driver.execute(opcode, admin::DestroyAh{77, 77}) == Status::illegal_parameter);
}

TEST_CASE_METHOD(Fixture, "queue pairs share no page of queue memory", "[efa][adapter]")
{
    FakeQp one(driver, {.sq_depth = 16});
    FakeQp two(driver, {.sq_depth = 128});
    FakeQp three(driver, {.sq_depth = 16});
    CHECK(two.llq_offset - one.llq_offset == 4096);
    CHECK(three.llq_offset - two.llq_offset == 8192);
    CHECK(one.send_doorbell / 4096 != two.send_doorbell / 4096);
    CHECK(one.send_doorbell != one.receive_doorbell);
}

TEST_CASE_METHOD(Fixture, "impossible queue pairs are refused", "[efa][adapter]")
{
    admin::CreateQp good{};
    good.pd = driver.alloc_pd();
    good.uar = driver.alloc_uar();
    good.qp_type = admin::qp_type_srd;
    FakeCq cq(driver, good.uar);
    good.send_cq = good.receive_cq = cq.number;
    good.sq_depth = 16;
    good.sq_ring_size = 16 * 64;
    good.rq_ring_size = 256;
    auto refused = [&](auto change) {
        admin::CreateQp bad = good;
        change(bad);
        return driver.execute(Command::create_qp, bad) == Status::illegal_parameter;
    };
    CHECK(refused([](auto& c) { c.qp_type = 3; }));
    CHECK(refused([](auto& c) { c.pd = 200; }));
    CHECK(refused([](auto& c) { c.uar = 200; }));
    CHECK(refused([](auto& c) { c.send_cq = 0x10000; }));
    CHECK(refused([](auto& c) { c.receive_cq = 9; }));
    CHECK(refused([](auto& c) { c.sq_depth = 15; }));
    CHECK(refused([](auto& c) { c.sq_ring_size = 16 * 96; }));
    CHECK(refused([](auto& c) { c.sq_depth = 1u << 31; }));
    CHECK(refused([](auto& c) { c.sq_depth = c.sq_ring_size = 0x4000'0000; }));
    CHECK(refused([](auto& c) { c.rq_ring_size = 40; }));
    CHECK(refused([](auto& c) { c.rq_ring_size = 1u << 20; }));
    CHECK(refused([](auto& c) { c.flags = admin::CreateQp::flag_rq_virt; }));
    CHECK(driver.execute(Command::create_qp, good) == Status::success);
}

TEST_CASE_METHOD(Fixture, "queue memory runs out with an error, and comes back", "[efa][adapter]")
{
    std::vector<std::uint32_t> handles;
    admin::CreateQp command{};
    command.pd = driver.alloc_pd();
    command.uar = driver.alloc_uar();
    command.qp_type = admin::qp_type_srd;
    FakeCq cq(driver, command.uar);
    command.send_cq = command.receive_cq = cq.number;
    Status status = Status::success;
    while ((status = driver.execute(Command::create_qp, command)) == Status::success) {
        handles.push_back(driver.response<admin::CreateQpResponse>().handle);
        REQUIRE(handles.size() <= Limits::max_qp);
    }
    CHECK(status == Status::resource_allocation_failure);
    CHECK(handles.size() > 200);
    REQUIRE(driver.execute(Command::destroy_qp, admin::QpHandle{handles.back()}) ==
            Status::success);
    CHECK(driver.execute(Command::create_qp, command) == Status::success);
    CHECK(driver.response<admin::CreateQpResponse>().handle != handles.back());
}

TEST_CASE_METHOD(Fixture, "queue pairs change state as the rules say", "[efa][adapter]")
{
    FakeQp qp(driver);
    CHECK(qp.to(QpState::rtr) == Status::illegal_parameter);
    CHECK(qp.to(QpState::rts) == Status::illegal_parameter);
    qp.to_rts(3);
    CHECK(qp.to(QpState::init) == Status::illegal_parameter);
    CHECK(qp.to(static_cast<QpState>(9)) == Status::illegal_parameter);
    CHECK(qp.to(QpState::rts, admin::ModifyQp::mask_rnr_retry, 8) == Status::illegal_parameter);
    CHECK(qp.to(QpState::sqd) == Status::success);
    auto state = driver.must<admin::QueryQpResponse>(Command::query_qp, admin::QpHandle{qp.number});
    CHECK(state.state == static_cast<std::uint32_t>(QpState::sqd));
    CHECK(state.qkey == qkey);
    CHECK(state.rnr_retry == 3);
    CHECK(qp.to(QpState::error) == Status::success);
    CHECK(qp.to(QpState::rts) == Status::illegal_parameter);
    CHECK(qp.to(QpState::reset) == Status::success);
}

TEST_CASE_METHOD(Fixture, "a doorbell that is none is counted and ignored", "[efa][adapter]")
{
    driver.ring(0x1238, 1);
    driver.ring(0xffff8, 1);
    driver.settle();
    CHECK(driver.counter("bad_doorbells") == 2);
}

TEST_CASE_METHOD(Fixture, "R2.3 a doorbell on a page of nobody has no effect, and is a violation",
                 "[efa][adapter]")
{
    FakeQp qp(driver);
    qp.to_rts();
    CHECK(driver.adapter.violations().seen().empty());
    driver.ring(qp.send_doorbell + 40 * Doorbells::page_size, 1);
    driver.settle();
    REQUIRE(driver.adapter.violations().seen().size() == 1);
    CHECK(driver.adapter.violations().seen().begin()->second.count == 1);
    CHECK(driver.counter("bad_doorbells") == 1);
    CHECK(driver.counter("completions") == 0);
}

TEST_CASE_METHOD(Fixture, "who writes queue memory of no queue pair is told of", "[efa][adapter]")
{
    EfaAdapter other(loop, "a.efa1", {}, fabric);
    auto wrong = [&](std::uint64_t at, std::uint64_t length, bool is_write = true) {
        driver.adapter.violations().clear();
        driver.adapter.peer_access(other, 2, at, length, is_write);
        return !driver.adapter.violations().seen().empty();
    };
    CHECK(wrong(0, 8));
    {
        FakeQp first(driver);
        FakeQp second(driver);
        std::uint64_t size = 16 * 64; // less than a page
        CHECK_FALSE(wrong(second.llq_offset, size));
        CHECK_FALSE(wrong(second.llq_offset + size - 8, 8));
        CHECK(wrong(second.llq_offset + size - 8, 16));
        CHECK(wrong(second.llq_offset - 8, 16));
        CHECK(wrong(~0ULL, 8));
        CHECK_FALSE(wrong(second.llq_offset + size, 8, false));
        driver.must<admin::Number>(Command::destroy_qp, admin::QpHandle{first.number});
        CHECK(wrong(first.llq_offset, 64));
        CHECK_FALSE(wrong(second.llq_offset, 64));
    }
}

TEST_CASE_METHOD(Fixture, "statistics come by type", "[efa][adapter]")
{
    admin::GetStats command{};
    for (auto type :
         {admin::StatsType::basic, admin::StatsType::messages, admin::StatsType::rdma_read,
          admin::StatsType::rdma_write, admin::StatsType::network}) {
        command.type = type;
        CHECK(driver.execute(Command::get_stats, command) == Status::success);
    }
    command.type = static_cast<admin::StatsType>(5);
    CHECK(driver.execute(Command::get_stats, command) == Status::illegal_parameter);
}

TEST_CASE("GIDs are given, or follow from the name", "[efa][adapter]")
{
    EventLoop loop;
    Fabric fabric(loop);
    auto config = nlohmann::json{{"gid", "fe80::1234"}};
    EfaAdapter given(loop, "a.efa0", config, fabric);
    CHECK(gid_of(given) == "fe80::1234");
    CHECK_THROWS_AS(EfaAdapter(loop, "a.efa1", config, fabric), std::invalid_argument);
    auto bad = nlohmann::json{{"gid", "10.0.0.1"}};
    CHECK_THROWS_AS(EfaAdapter(loop, "a.efa1", bad, fabric), std::invalid_argument);
    auto wrong = nlohmann::json{{"event_counters", 1}};
    CHECK_THROWS_AS(EfaAdapter(loop, "a.efa1", wrong, fabric), std::invalid_argument);
    auto unknown = nlohmann::json{{"gids", "fe80::1"}};
    CHECK_THROWS_AS(EfaAdapter(loop, "a.efa1", unknown, fabric), std::invalid_argument);

    auto none = nlohmann::json::object();
    EfaAdapter one(loop, "a.efa1", none, fabric);
    EfaAdapter two(loop, "a.efa2", none, fabric);
    CHECK(one.gid() != two.gid());
    Fabric other(loop);
    CHECK(EfaAdapter(loop, "a.efa1", none, other).gid() == one.gid());
}
