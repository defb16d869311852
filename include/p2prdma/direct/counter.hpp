// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/session.hpp"

#include <cstdint>
#include <memory>

namespace p2prdma::direct {

class Event;
class HostObject;
class Memory;
class QueuePair;
class Target;

/// What a counter counts: a mask.
struct Counted {
    static constexpr std::uint32_t sends = 1;          ///< sends of the queue pair that completed
    static constexpr std::uint32_t receives = 2;       ///< messages that came
    static constexpr std::uint32_t reads = 4;          ///< RDMA reads of the queue pair
    static constexpr std::uint32_t remote_reads = 8;   ///< RDMA reads of peers
    static constexpr std::uint32_t writes = 16;        ///< RDMA writes of the queue pair
    static constexpr std::uint32_t remote_writes = 32; ///< RDMA writes of peers
};

/// A count of a queue pair's completions that the adapter itself writes: to an event, which each
/// completion raises, or to 8 bytes of memory. A queue pair can have one counter for an operation.
/// For an adapter that has none (AdapterInfo::counters), the host counts for an event what
/// completion queues report: neither requests with Signal::no nor what peers read and write.
/// Move-only; keeps event or memory, and stays until the queue pair has gone.
class P2PRDMA_API Counter final {
public:
    /// Before anything is posted on `queue_pair`. \param operations  mask of Counted \throws Error
    Counter(const Session& session, QueuePair& queue_pair, std::uint32_t operations,
            const Event& event);
    /// \param offset  of the count in the memory, a multiple of 8
    Counter(const Session& session, QueuePair& queue_pair, std::uint32_t operations,
            const Memory& memory, std::uint64_t offset);

private:
    void make(const Session& session, QueuePair& queue_pair, std::uint32_t operations,
              std::uint64_t offset);

    std::shared_ptr<const Target> target_;
    std::shared_ptr<const HostObject> object_;
};

} // namespace p2prdma::direct
