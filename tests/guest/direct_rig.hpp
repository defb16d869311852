// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <p2prdma/direct/address_handle.hpp>
#include <p2prdma/direct/completion_queue.hpp>
#include <p2prdma/direct/memory.hpp>
#include <p2prdma/direct/queue_pair.hpp>
#include <p2prdma/direct/region.hpp>
#include <p2prdma/direct/session.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

/// Programs on a card's own machine, which drive the host's adapter.
namespace direct_rig {

using namespace p2prdma::direct;

inline constexpr auto patience = std::chrono::seconds(60);

/// A queue pair of the host's adapter with memory of the card.
struct Side {
    static constexpr std::uint64_t size = 1 << 16;

    explicit Side(const Session& of, const QueuePairOptions& options = {},
                  std::uint32_t adapter = 0, std::uint32_t cq_entries = 128)
        : session(of), info(of.adapters().at(adapter)), memory(of, size),
          region(of, adapter, memory, Access::all), cq(of, adapter, cq_entries),
          qp(of, adapter, cq, options)
    {
    }
    void fill(unsigned seed)
    {
        std::vector<std::byte> bytes(size);
        for (std::size_t i = 0; i < size; ++i)
            bytes[i] = pattern(i, seed);
        memory.write(0, bytes);
    }
    static std::byte pattern(std::size_t i, unsigned seed)
    {
        return static_cast<std::byte>(i * 7 + (i >> 8) + seed);
    }
    std::vector<std::byte> read(std::size_t offset, std::size_t length) const
    {
        std::vector<std::byte> bytes(length);
        memory.read(offset, bytes);
        return bytes;
    }
    /// The next completion, waited for.
    Completion next()
    {
        Completion completion;
        const auto end = std::chrono::steady_clock::now() + patience;
        while (!cq.poll(completion)) {
            if (std::chrono::steady_clock::now() > end)
                throw std::runtime_error("no completion in time");
        }
        return completion;
    }

    Session session;
    AdapterInfo info;
    Memory memory;
    Region region;
    CompletionQueue cq;
    QueuePair qp;
};

/// Two queue pairs of a session, of which the first talks to the second.
struct Talk {
    explicit Talk(const Session& session, const QueuePairOptions& options = {})
        : near(session, options), far(session, with_receive(options)),
          handle(session, 0, far.info.gid), peer{handle.number(), far.qp.number(), far.qp.key()}
    {
        near.fill(1);
    }
    static QueuePairOptions with_receive(QueuePairOptions options)
    {
        options.receive_entries = 16;
        return options;
    }

    Side near;
    Side far;
    AddressHandle handle;
    Peer peer;
};

} // namespace direct_rig
