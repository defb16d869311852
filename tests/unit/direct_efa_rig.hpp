// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tests/unit/efa_fake_driver.hpp"

#include "p2prdma/direct/efa_completion_queue.hpp"
#include "p2prdma/direct/efa_receive_queue.hpp"
#include "p2prdma/direct/efa_send_queue.hpp"

#include <catch2/catch_test_macros.hpp>

/// The library's queues on the model's adapters.
namespace direct_test {

using namespace p2prdma::direct;
namespace model = lab::efa;
namespace fake = lab::efa::test;

inline std::span<volatile std::byte> device_memory(std::span<std::byte> bytes)
{
    return {bytes.data(), bytes.size()};
}

/// A queue pair of the model, driven by the library. ring() carries the doorbell, a word of
/// memory here, to the model.
struct Driven {
    explicit Driven(fake::FakeQp& queue_pair, std::uint32_t max_batch = 0)
        : qp(queue_pair),
          send({device_memory(qp.driver.adapter.bars()[2].memory.subspan(
                    qp.llq_offset, qp.options.sq_depth * qp.options.sq_entry_size)),
                &send_doorbell, qp.options.sq_depth, qp.options.sq_entry_size, max_batch, 5}),
          receive({device_memory(qp.driver.at(qp.rq_base, qp.options.rq_entries * 16)),
                   &receive_doorbell, qp.options.rq_entries, 5}),
          cq({device_memory(qp.driver.at(qp.cq.base, 64 * 32)), 64, 32})
    {
        cq.attach(qp.number, &send, &receive);
    }
    Peer peer() const { return {qp.peer_ah, qp.peer_number, fake::qkey}; }
    void ring()
    {
        send.ring();
        qp.driver.ring(qp.send_doorbell, send_doorbell);
    }
    void ring_receive()
    {
        receive.ring();
        qp.driver.ring(qp.receive_doorbell, receive_doorbell);
    }
    /// The next completion, waited for.
    Completion next()
    {
        Completion completion;
        REQUIRE(qp.driver.run_until([&] { return cq.poll(completion); }));
        return completion;
    }

    fake::FakeQp& qp;
    volatile std::uint32_t send_doorbell = 0;
    volatile std::uint32_t receive_doorbell = 0;
    EfaSendQueue send;
    EfaReceiveQueue receive;
    EfaCompletionQueue cq;
};

/// Two adapters; the library drives a queue pair of each.
struct Conversation : fake::Pair {
    explicit Conversation(fake::QpOptions options = {})
        : Pair(options), near(requester), far(responder),
          local(a.register_region(requester.pd, region_size)),
          remote(b.register_region(responder.pd, region_size, model::Access::all, 0x5000000))
    {
        const auto data = fake::pattern(region_size);
        std::copy(data.begin(), data.end(), local.bytes.begin());
    }
    LocalBuffer from(std::uint32_t length, std::uint64_t offset = 0) const
    {
        return {local.iova + offset, length, local.lkey};
    }
    RemotePlace to(std::uint64_t offset = 0) const { return {remote.iova + offset, remote.rkey}; }

    static constexpr std::uint32_t region_size = 1 << 16;
    Driven near;
    Driven far;
    fake::Region local;
    fake::Region remote;
};

} // namespace direct_test
