// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Instructions to post requests and poll their completions: lib/direct beside rdma-core's EFA
// provider, on queue pairs of the same adapter. Runs inside a lab machine under callgrind, which
// dumps what it counted once for each case and way; waiting is not counted.
#include "tests/guest/efa_rig.hpp"

#include <valgrind/callgrind.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <exception>
#include <string>

namespace {

using namespace efa_rig;
using namespace p2prdma::direct;

constexpr unsigned rounds = 64; // the completion queue wraps meanwhile

/// A case: what is posted by either way, `batch` requests at a time.
struct Case {
    bool wide;
    unsigned batch;
    std::uint32_t length;
    bool is_inline;
    bool is_send;
};

/// Queue pairs for one case and way.
struct Bench {
    explicit Bench(const Case& chosen)
        : what(chosen), initiator(near, {16, chosen.wide}), target(far), ah(near.make_ah(far)),
          back(far.make_ah(near)), peer(peer_of(ah.get(), target))
    {
    }

    Case what;
    Device near{"efa_0"};
    Device far{"efa_1"};
    QueuePair initiator;
    QueuePair target;
    Owner<ibv_ah, ibv_destroy_ah> ah;
    Owner<ibv_ah, ibv_destroy_ah> back;
    Peer peer;
    Direct receiver{target};
    std::uint32_t completions = 0; ///< that have come
};

/// A buffer for each message, so that none waits.
void announce(Bench& bench)
{
    if (!bench.what.is_send)
        return;
    Completion completion;
    while (bench.receiver.cq.poll(completion)) {
    }
    const LocalBuffer into{bench.far.address(), 4096, bench.far.mr->lkey};
    if (bench.receiver.receive.add(0, into) != Posted::ok)
        throw std::runtime_error("the receive queue is full");
    bench.receiver.receive.ring();
}

/// Until the last completion of a round is in memory: looked for beside both ways.
void await(Bench& bench)
{
    bench.completions += bench.what.batch;
    const auto last = bench.completions - 1;
    const auto& queue = bench.initiator.completions;
    const volatile std::uint8_t* flags =
        queue.buffer + last % queue.num_entries * queue.entry_size + 3;
    const unsigned phase = (last / queue.num_entries) % 2 == 0 ? 1 : 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while ((*flags & 1u) != phase) {
        if (std::chrono::steady_clock::now() > end)
            throw std::runtime_error("no completion within 60 seconds");
    }
}

template <Case what>
[[gnu::noinline]] bool post_stock(const Bench& bench)
{
    ibv_qp_ex* work = bench.initiator.work();
    ibv_wr_start(work);
    for (unsigned i = 0; i < what.batch; ++i) {
        work->wr_id = i;
        work->wr_flags = IBV_SEND_SIGNALED;
        if constexpr (what.is_send)
            ibv_wr_send(work);
        else
            ibv_wr_rdma_write(work, bench.far.mr->rkey, bench.far.address());
        if constexpr (what.is_inline)
            ibv_wr_set_inline_data(work, const_cast<std::byte*>(bench.near.memory.data()),
                                   what.length);
        else
            ibv_wr_set_sge(work, bench.near.mr->lkey, bench.near.address(), what.length);
        ibv_wr_set_ud_addr(work, bench.ah.get(), bench.peer.queue_pair, queue_key);
    }
    return ibv_wr_complete(work) == 0;
}

template <Case what>
[[gnu::noinline]] bool poll_stock(const Bench& bench)
{
    ibv_cq_ex* cq = bench.initiator.cq.get();
    ibv_poll_cq_attr attr{};
    if (ibv_start_poll(cq, &attr) != 0)
        return false;
    bool good = cq->status == IBV_WC_SUCCESS;
    for (unsigned i = 1; i < what.batch; ++i)
        good = good && ibv_next_poll(cq) == 0 && cq->status == IBV_WC_SUCCESS;
    ibv_end_poll(cq);
    return good;
}

template <Case what>
[[gnu::noinline]] bool post_direct(const Bench& bench, EfaSendQueue& queue)
{
    const std::span data(bench.near.memory.data(), what.length);
    const LocalBuffer from{bench.near.address(), what.length, bench.near.mr->lkey};
    const RemotePlace to{bench.far.address(), bench.far.mr->rkey};
    bool good = true;
    for (unsigned i = 0; i < what.batch; ++i) {
        Posted posted{};
        if constexpr (what.is_send)
            posted = queue.add_send_inline(i, bench.peer, data);
        else if constexpr (what.is_inline)
            posted = queue.add_write_inline(i, bench.peer, data, to);
        else
            posted = queue.add_write(i, bench.peer, from, to);
        good = good && posted == Posted::ok;
    }
    queue.ring();
    return good;
}

template <Case what>
[[gnu::noinline]] bool poll_direct(EfaCompletionQueue& queue)
{
    bool good = true;
    Completion completion;
    for (unsigned i = 0; i < what.batch; ++i)
        good = good && queue.poll(completion) && completion.status == Status::ok;
    return good;
}

void require(bool good)
{
    if (!good)
        throw std::runtime_error("a request could not be posted, or failed");
}

template <class Operation>
bool counted(Operation operation)
{
    CALLGRIND_TOGGLE_COLLECT;
    const bool good = operation();
    CALLGRIND_TOGGLE_COLLECT;
    return good;
}

/// `post` and `poll` in turn; the first round, which resolves symbols, is not counted.
template <class Post, class Poll>
void measure(Bench& bench, const std::string& name, Post post, Poll poll)
{
    for (unsigned round = 0; round <= rounds; ++round) {
        announce(bench);
        require(round ? counted(post) : post());
        await(bench);
        require(round ? counted(poll) : poll());
    }
    // Callgrind reads the text later, from where it is.
    static std::deque<std::string> names;
    CALLGRIND_DUMP_STATS_AT(names.emplace_back(name).c_str());
}

template <Case what>
void compare(const std::string& name)
{
    Bench stock(what);
    measure(
        stock, name + " stock", [&] { return post_stock<what>(stock); },
        [&] { return poll_stock<what>(stock); });
    Bench bench(what);
    Direct direct(bench.initiator);
    measure(
        bench, name + " direct", [&] { return post_direct<what>(bench, direct.send); },
        [&] { return poll_direct<what>(direct.cq); });
}

/// What the counting itself costs.
void measure_nothing()
{
    for (unsigned round = 0; round < 2 * rounds; ++round)
        static_cast<void>(counted([] { return true; }));
    CALLGRIND_DUMP_STATS_AT("nothing -");
}

void run()
{
    measure_nothing();
    compare<Case{.wide = false, .batch = 1, .length = 32, .is_inline = true, .is_send = true}>(
        "send_inline_32");
    compare<Case{.wide = false, .batch = 1, .length = 32, .is_inline = false, .is_send = false}>(
        "write_32");
    compare<Case{.wide = true, .batch = 1, .length = 32, .is_inline = true, .is_send = false}>(
        "write_inline_32");
    compare<Case{.wide = true, .batch = 1, .length = 80, .is_inline = true, .is_send = false}>(
        "write_inline_80");
    compare<Case{.wide = false, .batch = 16, .length = 32, .is_inline = false, .is_send = false}>(
        "batch_16");
    std::printf("{\"rounds\": %u}\n", rounds);
}

} // namespace

int main()
try {
    run();
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "direct_post: %s\n", error.what());
    return 1;
}
