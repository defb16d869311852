// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// lib/direct beside rdma-core's EFA provider, on queue pairs of the same adapter: the same work
// requests bit by bit, and transfers. Two adapters in one machine.
#include "tests/guest/efa_rig.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>

using namespace efa_rig;
using namespace p2prdma::direct;

namespace {

constexpr std::uint32_t entries = 16;

/// Queue pairs of efa_0, one for each way, which both talk to one of efa_1.
struct Ways {
    explicit Ways(bool wide)
        : stock(near, {entries, wide}), direct(near, {entries, wide}), target(far),
          ah(near.make_ah(far)), back(far.make_ah(near)), driven(direct), receiver(target),
          peer(peer_of(ah.get(), target))
    {
        for (std::size_t i = 0; i < Device::size; ++i)
            near.memory[i] = static_cast<std::byte>(i * 7 + (i >> 8));
    }
    LocalBuffer local(std::uint32_t length, std::uint64_t offset = 0) const
    {
        return {near.address() + offset, length, near.mr->lkey};
    }
    RemotePlace remote(std::uint64_t offset = 0) const
    {
        return {far.address() + offset, far.mr->rkey};
    }
    /// Posts by the stock provider what `operation` says.
    void post_stock(const std::function<void(ibv_qp_ex*)>& operation) const
    {
        ibv_qp_ex* work = stock.work();
        ibv_wr_start(work);
        work->wr_flags = IBV_SEND_SIGNALED;
        operation(work);
        ibv_wr_set_ud_addr(work, ah.get(), target.qp->qp_num, queue_key);
        need(ibv_wr_complete(work), "the stock provider did not post");
    }
    /// Messages for which both ways need a receive.
    void announce(unsigned count)
    {
        const LocalBuffer into{far.address(), 4096, far.mr->lkey};
        for (unsigned i = 0; i < count; ++i)
            REQUIRE(receiver.receive.add(i, into) == Posted::ok);
        receiver.receive.ring();
    }

    Device near{"efa_0"};
    Device far{"efa_1"};
    QueuePair stock;
    QueuePair direct;
    QueuePair target;
    Owner<ibv_ah, ibv_destroy_ah> ah;
    Owner<ibv_ah, ibv_destroy_ah> back;
    Direct driven;
    Direct receiver;
    Peer peer;
};

Completion next(EfaCompletionQueue& cq)
{
    Completion completion;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!cq.poll(completion)) {
        if (std::chrono::steady_clock::now() > end)
            throw std::runtime_error("no completion within 20 seconds");
    }
    return completion;
}

/// The words of an entry, but for the request id.
std::vector<std::uint64_t> words(const efadv_wq_attr& queue, std::uint32_t index)
{
    std::vector<std::uint64_t> copy(queue.entry_size / 8);
    const auto* from = reinterpret_cast<volatile std::uint64_t*>(
        queue.buffer + index % queue.num_entries * queue.entry_size);
    for (auto& word : copy)
        word = *from++;
    copy[0] &= ~std::uint64_t{0xffff};
    return copy;
}

} // namespace

TEST_CASE("work requests are those of the stock provider, bit by bit")
{
    const bool wide = GENERATE(false, true);
    Ways ways(wide);
    std::uint32_t index = 0;
    const auto same = [&](const char* what, Posted posted,
                          const std::function<void(ibv_qp_ex*)>& operation) {
        INFO(what << ", entry " << index);
        REQUIRE(posted == Posted::ok);
        ways.driven.send.ring();
        ways.post_stock(operation);
        CHECK(words(ways.direct.send, index) == words(ways.stock.send, index));
        CHECK(next(ways.driven.cq).status == Status::ok);
        ibv_wc completion{};
        while (ibv_poll_cq(ibv_cq_ex_to_cq(ways.stock.cq.get()), 1, &completion) == 0) {
        }
        CHECK(completion.status == IBV_WC_SUCCESS);
        ++index;
    };
    const auto from = ways.local(333, 1000);
    const auto to = ways.remote(77);
    auto& queue = ways.driven.send;
    REQUIRE(ways.direct.send.entry_size == (wide ? 128 : 64));
    for (int pass = 0; pass < 5; ++pass) { // the phase changes meanwhile
        same("write", queue.add_write(1, ways.peer, from, to), [&](ibv_qp_ex* work) {
            ibv_wr_rdma_write(work, to.key, to.address);
            ibv_wr_set_sge(work, from.key, from.address, from.length);
        });
        same("read", queue.add_read(1, ways.peer, from, to), [&](ibv_qp_ex* work) {
            ibv_wr_rdma_read(work, to.key, to.address);
            ibv_wr_set_sge(work, from.key, from.address, from.length);
        });
        ways.announce(4);
        same("send", queue.add_send(1, ways.peer, from), [&](ibv_qp_ex* work) {
            ibv_wr_send(work);
            ibv_wr_set_sge(work, from.key, from.address, from.length);
        });
        for (std::uint32_t length : {queue.max_inline_send(), 13u}) {
            if (length == 13)
                ways.announce(2);
            const auto data = std::span(ways.near.memory).first(length);
            same("inline send", queue.add_send_inline(1, ways.peer, data), [&](ibv_qp_ex* work) {
                ibv_wr_send(work);
                ibv_wr_set_inline_data(work, data.data(), data.size());
            });
        }
        for (int i = 0; i < 6; ++i)
            CHECK(next(ways.receiver.cq).is_receive);
        if (!wide)
            continue;
        const auto data = std::span(ways.near.memory).first(80);
        same("inline write", queue.add_write_inline(1, ways.peer, data, to), [&](ibv_qp_ex* work) {
            ibv_wr_rdma_write(work, to.key, to.address);
            ibv_wr_set_inline_data(work, data.data(), data.size());
        });
    }
}

TEST_CASE("batches move bytes, and every ring wraps")
{
    Ways ways(false);
    std::uint64_t done = 0;
    for (std::uint64_t posted = 0; posted < 400;) {
        for (; ways.driven.send.add_write(posted, ways.peer,
                                          ways.local(64, posted * 64 % Device::size),
                                          ways.remote(posted * 64 % Device::size)) == Posted::ok;)
            ++posted;
        ways.driven.send.ring();
        for (; done < posted; ++done)
            CHECK(next(ways.driven.cq).status == Status::ok);
    }
    CHECK(std::equal(ways.near.memory.begin(), ways.near.memory.begin() + 400 * 64,
                     ways.far.memory.begin()));
    CHECK(ways.driven.cq.strays() == 0);
}

TEST_CASE("R2.4 an access past the end of a region is a remote error")
{
    Ways ways(false);
    const auto last = ways.remote(Device::size - 64);
    REQUIRE(ways.driven.send.add_write(1, ways.peer, ways.local(64), last) == Posted::ok);
    ways.driven.send.ring();
    CHECK(next(ways.driven.cq).status == Status::ok);
    REQUIRE(ways.driven.send.add_write(2, ways.peer, ways.local(65), last) == Posted::ok);
    ways.driven.send.ring();
    CHECK(next(ways.driven.cq).status == Status::remote_bad_address);
}
