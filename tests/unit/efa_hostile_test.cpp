// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// A card may write anything into the queue memory that it was given, and ring its doorbell as it
// likes. What belongs to others is not touched, and their queue pairs go on.
#include "tests/unit/efa_fake_driver.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <type_traits>

using namespace lab;
using namespace lab::efa;
using namespace lab::efa::test;

namespace {

/// A hostile queue pair on adapter "a" that reaches one region on "b", and a neighbour of each
/// that it must not reach: same adapters, other protection domains.
struct Hostile : Pair {
    FakeQp near_victim{a};
    FakeQp far_victim{b};
    Region from = a.register_region(requester.pd, 65536);
    Region to = b.register_region(responder.pd, 65536);
    Region near_secret = a.register_region(near_victim.pd, 65536, Access::all, 0x100000);
    Region far_secret = b.register_region(far_victim.pd, 65536, Access::all, 0x200000);
    std::mt19937 engine{20261122};

    Hostile()
    {
        near_victim.connect(far_victim);
        near_victim.to_rts();
        far_victim.to_rts();
        for (const Region& secret : {near_secret, far_secret})
            std::fill(secret.bytes.begin(), secret.bytes.end(), std::byte{0x5a});
        std::fill(from.bytes.begin(), from.bytes.end(), std::byte{0x11});
    }
    std::uint32_t random() { return static_cast<std::uint32_t>(engine()); }
    /// The right value, three times out of four.
    template <typename T>
    T mostly(T right, std::initializer_list<std::common_type_t<T>> others)
    {
        return random() % 4 != 0 ? right : others.begin()[random() % others.size()];
    }

    /// Keys and addresses of others, lengths about a bound, any bits.
    void put_request()
    {
        SendMeta meta = requester.request(static_cast<Opcode>(random() % 4), 1);
        meta.length = mostly<std::uint16_t>(1, {0, 2, 3, 0xffff});
        if (random() % 8 == 0)
            meta.ctrl1 = static_cast<std::uint8_t>(random());
        if (random() % 16 == 0)
            meta.ctrl2 = static_cast<std::uint8_t>(random());
        meta.dest_qp_num =
            mostly(responder.number, {far_victim.number, static_cast<std::uint16_t>(random())});
        auto length = mostly<std::uint32_t>(8, {0, 65536, 65537, ~0U});
        struct {
            RemoteAddress remote;
            SendBuffer local;
        } data{{length, mostly(to.rkey, {far_secret.rkey, near_secret.rkey, random()}),
                mostly(to.iova, {to.iova + 65529, far_secret.iova, ~0ULL - 3})},
               {length, mostly(from.lkey, {near_secret.lkey, near_secret.rkey, random()}),
                mostly(from.iova, {from.iova + 65529, near_secret.iova, ~0ULL - 3})}};
        requester.put(meta, std::as_bytes(std::span(&data, 1)));
    }
    void put_garbage()
    {
        std::array<std::uint32_t, 16> words{};
        for (auto& word : words)
            word = random();
        SendMeta meta{};
        std::memcpy(&meta, words.data(), sizeof(meta));
        requester.put(meta, std::as_bytes(std::span(words)).last(32));
    }
    /// Before the ring wraps: its phase stays as it is.
    void start_over()
    {
        requester.sq_posted = 0;
        REQUIRE(requester.to(QpState::reset) == admin::Status::success);
        requester.to_rts();
    }
    static bool untouched(const Region& secret)
    {
        return std::all_of(secret.bytes.begin(), secret.bytes.end(),
                           [](std::byte byte) { return byte == std::byte{0x5a}; });
    }
};

} // namespace

TEST_CASE_METHOD(Hostile, "R2.3 R2.4 what a card writes into its ring harms nobody else",
                 "[efa][hostile]")
{
    for (int round = 0; round < 3000; ++round) {
        if (random() % 4 == 0)
            put_garbage();
        else
            put_request();
        bool beyond = random() % 32 == 0;
        a.ring(requester.send_doorbell, beyond ? random() : requester.sq_posted);
        a.settle();
        REQUIRE(untouched(near_secret));
        REQUIRE(untouched(far_secret));
        auto state = a.must<admin::QueryQpResponse>(admin::Opcode::query_qp,
                                                    admin::QpHandle{requester.number});
        bool failed = state.state == static_cast<std::uint32_t>(QpState::error);
        if (failed || requester.sq_posted == requester.options.sq_depth - 1)
            start_over();
    }
    // Nothing of others was read either, and they go on.
    CHECK(std::none_of(to.bytes.begin(), to.bytes.end(),
                       [](std::byte byte) { return byte == std::byte{0x5a}; }));
    near_victim.rdma(Opcode::rdma_write, near_secret, far_secret.iova, far_secret.rkey, 4096, 7);
    CHECK(near_victim.cq.next().head.status == CompletionStatus::ok);
    CHECK(a.adapter.violations().seen().empty());
    CHECK(a.counter("write_bytes") > 100 * 8); // some of it was right
    CHECK(a.counter("read_bytes") > 100 * 8);
    CHECK(a.counter("phase_errors") > 100);
}
