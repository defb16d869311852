// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/completion_ring.hpp"
#include "lib/l2/counters.hpp"
#include "lib/l2/memory_access.hpp"
#include "lib/l2/memory_table.hpp"
#include "lib/l2/outbox.hpp"
#include "lib/l2/pager.hpp"
#include "lib/l2/random_source.hpp"
#include "lib/l2/seal.hpp"
#include "lib/l2/work.hpp"
#include "p2prdma/l2/queue_pair.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace p2prdma::l2 {

/// What all queue pairs of a device share.
struct QueuePairContext {
    QueuePairContext(Port& port_, Pager& pager_, DeviceOptions options_, RandomSource random_)
        : options(std::move(options_)), port(port_), pager(pager_), random(std::move(random_)),
          memory(random), access(memory, pager), budget(options.buffer_limit),
          outbox(port, counters, options)
    {
    }

    /// Of a device that has one.
    [[nodiscard]] Secret secret() const noexcept
    {
        return std::span(options.secret).first<secret_size>();
    }
    /// For a frame that belongs to no connection.
    [[nodiscard]] Sealer unconnected_sealer(const MacAddress& to) const
    {
        return Sealer(connect_key(secret(), port.address(), to), random());
    }
    /// Whether such a frame is genuine.
    [[nodiscard]] bool opens(const wire::Frame& frame) const noexcept
    {
        return is_genuine(connect_key(secret(), frame.source, frame.destination), frame);
    }

    DeviceOptions options;
    Port& port;
    Pager& pager;
    RandomSource random;
    Counters counters;
    MemoryTable memory;
    MemoryAccess access;
    BufferBudget budget;
    Outbox outbox;
    SendRing::Pool send_pool;
    ReceiveRing::Pool receive_pool;
    ResponseRing::Pool response_pool;
    bool handed_over = false; ///< a peer's message was given to the application
};

/// What makes a queue pair.
struct QueuePairSetup {
    std::uint32_t domain = 0;
    CompletionRing* send_completions = nullptr; ///< both outlive it
    CompletionRing* receive_completions = nullptr;
    QueuePairOptions options;
    std::vector<std::byte> private_data;
};

/// Names that both halves of a queue pair use.
struct QueuePairNames {
    std::uint32_t number = 0;
    MacAddress peer;
    std::uint32_t domain = 0;
};

} // namespace p2prdma::l2
