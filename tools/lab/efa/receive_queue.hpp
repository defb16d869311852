// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/context.hpp"
#include "tools/lab/efa/io_layout.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace lab::efa {

class QueuePair;

/// A receive work request: buffers that one message fills.
struct ReceiveRequest {
    std::uint16_t req_id = 0;
    std::vector<ReceiveDescriptor> buffers;

    std::uint64_t capacity() const
    {
        std::uint64_t bytes = 0;
        for (const ReceiveDescriptor& buffer : buffers)
            bytes += buffer.length;
        return bytes;
    }
};

/// The receive ring of a queue pair, in host memory. What a doorbell announces is fetched at once.
class ReceiveQueue {
public:
    struct Ring {
        std::uint64_t base = 0;
        std::uint32_t entries = 0; ///< descriptors: 0 or a power of two
    };

    ReceiveQueue(Context& context, QueuePair& owner, const Ring& ring);

    /// The doorbell: descriptors up to `producer`, a running count, are valid.
    void doorbell(std::uint16_t producer);

    bool empty() const { return requests_.empty(); }
    const ReceiveRequest& front() const { return requests_.front(); }
    /// Removes the first request; the caller completes it.
    ReceiveRequest take();
    /// Completes everything that was posted as flushed.
    void flush();
    /// Forgets everything that was posted.
    void reset();

private:
    using Descriptors = std::vector<ReceiveDescriptor>;

    void fetch(std::uint32_t count);
    void fetched(const Descriptors& descriptors, int error);
    bool append(const ReceiveDescriptor& descriptor);

    Context& context_;
    QueuePair& owner_;
    Ring ring_;
    std::uint16_t producer_ = 0;
    std::uint32_t unconsumed_ = 0; ///< descriptors posted whose request was not taken
    std::uint32_t epoch_ = 0;      ///< counts resets: what was fetched before one is forgotten
    ReceiveRequest partial_;       ///< its last descriptor was not seen yet
    std::deque<ReceiveRequest> requests_;
};

} // namespace lab::efa
