// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// What perftest does not ask of an EFA adapter, through libefa: errors and their status, inline
// and unsolicited writes, a finite RNR retry count, completion counters. Two adapters in one
// machine.
#include "tests/guest/efa_pair.hpp"

#include <algorithm>
#include <optional>

using namespace efa_pair;

TEST_CASE("a remote address is checked to the byte")
{
    Pair pair;
    std::uint64_t end = pair.far.address() + size;
    std::uint32_t rkey = pair.far.mr->rkey;
    CHECK(pair.write(end - 100000, rkey, 100000) == IBV_WC_SUCCESS);
    CHECK(std::equal(pair.near.buffer.begin(), pair.near.buffer.begin() + 100000,
                     pair.far.buffer.end() - 100000));
    CHECK(pair.write(end - 99999, rkey, 100000) == IBV_WC_REM_ACCESS_ERR);
    CHECK(pair.write(pair.far.address() - 1, rkey, 8) == IBV_WC_REM_ACCESS_ERR);
    CHECK(pair.write(pair.far.address(), rkey ^ 1, 8) == IBV_WC_REM_ACCESS_ERR);
    pair.near.read(end - 7, rkey, 8);
    CHECK(pair.near.next().status == IBV_WC_REM_ACCESS_ERR);
    CHECK(pair.write(pair.far.address(), rkey, 8) == IBV_WC_SUCCESS);
}

TEST_CASE("a deregistered region is out of reach")
{
    Pair pair;
    std::uint32_t rkey = pair.far.mr->rkey;
    pair.far.mr.reset();
    CHECK(pair.write(pair.far.address(), rkey, 8) == IBV_WC_REM_ACCESS_ERR);
}

TEST_CASE("a queue pair that is gone is told from an adapter that answers")
{
    Pair pair;
    pair.far.qp.reset();
    CHECK(pair.write(pair.far.address(), pair.far.mr->rkey, 8) == IBV_WC_REM_INV_RD_REQ_ERR);
}

TEST_CASE("a message waits for its receive buffer, or not for ever")
{
    SECTION("for ever, by default")
    {
        Pair pair;
        pair.near.send(100);
        ibv_wc completion{};
        CHECK(ibv_poll_cq(pair.near.cq.get(), 1, &completion) == 0);
        pair.far.post_receive(4096);
        CHECK(pair.far.next().byte_len == 100);
        CHECK(pair.near.next().status == IBV_WC_SUCCESS);
    }
    SECTION("two retries")
    {
        Pair pair(0, 2);
        pair.near.send(100);
        CHECK(pair.near.next().status == IBV_WC_RNR_RETRY_EXC_ERR);
    }
}

TEST_CASE("an inline write carries its data itself")
{
    Pair pair(EFADV_QP_FLAGS_INLINE_WRITE);
    std::array<char, 32> data{"thirty-one characters and a nul"};
    pair.near.begin();
    ibv_wr_rdma_write(pair.near.work(), pair.far.mr->rkey, pair.far.address() + 1);
    ibv_wr_set_inline_data(pair.near.work(), data.data(), data.size());
    pair.near.submit();
    CHECK(pair.near.next().status == IBV_WC_SUCCESS);
    CHECK(std::memcmp(&pair.far.buffer[1], data.data(), data.size()) == 0);
}

TEST_CASE("a write with immediate data takes a receive buffer, unless unsolicited")
{
    auto write_imm = [](Pair& pair) {
        pair.near.begin();
        ibv_wr_rdma_write_imm(pair.near.work(), pair.far.mr->rkey, pair.far.address(),
                              htobe32(0x1234abcd));
        ibv_wr_set_sge(pair.near.work(), pair.near.mr->lkey, pair.near.address(), 200000);
        pair.near.submit();
    };
    auto check = [](Pair& pair) {
        ibv_wc received = pair.far.next();
        CHECK(received.status == IBV_WC_SUCCESS);
        CHECK(received.opcode == IBV_WC_RECV_RDMA_WITH_IMM);
        CHECK(received.byte_len == 200000);
        CHECK(be32toh(received.imm_data) == 0x1234abcd);
        CHECK(pair.near.next().status == IBV_WC_SUCCESS);
        CHECK(std::equal(pair.near.buffer.begin(), pair.near.buffer.begin() + 200000,
                         pair.far.buffer.begin()));
    };
    SECTION("it takes one")
    {
        Pair pair;
        write_imm(pair);
        pair.far.post_receive(1);
        check(pair);
    }
    SECTION("it takes none")
    {
        Pair pair(EFADV_QP_FLAGS_UNSOLICITED_WRITE_RECV);
        write_imm(pair);
        check(pair);
    }
}

TEST_CASE("completion counters count")
{
    Pair pair;
    ibv_comp_cntr_caps caps{};
    REQUIRE(ibv_query_comp_cntr_caps(pair.near.context.get(), &caps) == 0);
    CHECK(caps.max_counters >= 2);
    ibv_comp_cntr_init_attr init{};
    auto make = [&](End& end, std::uint32_t operations) {
        auto* counter = need(ibv_create_comp_cntr(end.context.get(), &init), "no counter");
        ibv_qp_attach_comp_cntr_attr attach{.comp_mask = 0, .op_mask = operations};
        REQUIRE(ibv_set_comp_cntr(counter, 0) == 0);
        REQUIRE(ibv_set_err_comp_cntr(counter, 0) == 0);
        REQUIRE(ibv_qp_attach_comp_cntr(end.qp.get(), counter, &attach) == 0);
        return counter;
    };
    auto value = [](ibv_comp_cntr* counter, bool errors) {
        std::uint64_t number = 0;
        REQUIRE((errors ? ibv_read_err_comp_cntr(counter, &number)
                        : ibv_read_comp_cntr(counter, &number)) == 0);
        return number;
    };
    ibv_comp_cntr* writes = make(pair.near, IBV_QP_ATTACH_COMP_CNTR_OP_RDMA_WRITE);
    ibv_comp_cntr* arrivals = make(pair.far, IBV_QP_ATTACH_COMP_CNTR_OP_REMOTE_RDMA_WRITE);
    for (int i = 0; i < 3; ++i)
        CHECK(pair.write(pair.far.address(), pair.far.mr->rkey, 100000) == IBV_WC_SUCCESS);
    CHECK(pair.write(pair.far.address(), 0, 8) == IBV_WC_REM_ACCESS_ERR);
    CHECK(value(writes, false) == 3);
    CHECK(value(writes, true) == 1);
    CHECK(value(arrivals, false) == 3);
    REQUIRE(ibv_inc_comp_cntr(writes, 10) == 0);
    CHECK(value(writes, false) == 13);
    CHECK(ibv_destroy_comp_cntr(writes) != 0); // it is attached
    pair.near.qp.reset();
    pair.far.qp.reset();
    CHECK(ibv_destroy_comp_cntr(writes) == 0);
    CHECK(ibv_destroy_comp_cntr(arrivals) == 0);
}
