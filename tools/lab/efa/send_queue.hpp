// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/context.hpp"
#include "tools/lab/efa/region_dma.hpp"
#include "tools/lab/efa/wire.hpp"
#include "tools/lab/efa/work_request.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace lab::efa {

class QueuePair;

/// The requester's side of a queue pair: takes work requests from the ring in queue memory,
/// turns them into packets, and completes them by the replies.
///
/// An element is read when its turn comes, not when the doorbell announces it; its phase bit must
/// then be that of the current pass over the ring. Requests complete in any order.
class SendQueue {
public:
    struct Ring {
        std::uint32_t offset = 0;     ///< in queue memory
        std::uint32_t depth = 0;      ///< elements: 0 or a power of two
        std::uint32_t entry_size = 0; ///< 64 or 128 bytes
    };

    SendQueue(Context& context, QueuePair& owner, const Ring& ring);

    const Ring& ring() const { return ring_; }
    /// The doorbell: elements up to `producer`, a running count, are valid.
    void doorbell(std::uint16_t producer);
    /// Sends one packet, if there is one to send. True if there could be another right now.
    bool transmit();
    void handle_reply(const PacketHeader& header, const PacketPtr& packet);
    /// A packet of ours reached nobody.
    void undeliverable(const PacketHeader& header);

    /// Completes everything that was posted as flushed.
    void flush();
    /// Forgets everything that was posted.
    void reset();
    /// True if no request is being executed.
    bool drained() const { return live_ == 0; }

private:
    struct Slot {
        std::uint16_t generation = 0;
        std::optional<WorkRequest> request;
    };
    using MessageId = std::uint32_t; ///< generation and slot

    bool may_transmit() const;
    bool may_start() const;
    MessageId take_slot(const WorkRequest& request);
    void free_slot(MessageId id);
    WorkRequest* find(MessageId id);

    std::span<const std::byte> element(std::uint32_t index) const;
    void advance_consumer();
    void start_next();
    CompletionStatus admit(WorkRequest& request) const;
    CompletionStatus check_buffers(const WorkRequest& request) const;
    std::uint64_t max_length(Opcode opcode) const;

    void send_piece(MessageId id, WorkRequest& request);
    PacketHeader header_for(MessageId id, const WorkRequest& request, PacketKind kind) const;
    void send_control(MessageId id, const WorkRequest& request, PacketKind kind);
    void send_data(MessageId id, WorkRequest& request, const PacketHeader& header);
    bool resolve(const WorkRequest& request, std::uint64_t offset, std::uint64_t length,
                 std::uint8_t access, std::vector<RegionPiece>& pieces) const;
    void data_gathered(MessageId id, const PacketPtr& packet, int error);

    void piece_done(MessageId id, WorkRequest& request);
    void accept_read(MessageId id, WorkRequest& request, const PacketHeader& header,
                     const PacketPtr& packet);
    void hold(MessageId id, WorkRequest& request);
    void release_credit(WorkRequest& request);
    void finish(MessageId id, CompletionStatus status);
    void complete(const WorkRequest& request, CompletionStatus status);
    void count(const WorkRequest& request, CompletionStatus status);
    void post_completion(const WorkRequest& request, CompletionStatus status);

    Context& context_;
    QueuePair& owner_;
    Ring ring_;
    std::uint16_t producer_ = 0;
    std::uint16_t consumer_ = 0;
    bool phase_ = false; ///< what the phase bit of the element at consumer_ must be

    std::deque<Slot> slots_; ///< at most ring_.depth
    std::vector<std::uint32_t> free_slots_;
    std::uint32_t live_ = 0;
    std::optional<MessageId> current_; ///< not all of its packets are sent
    unsigned outstanding_ = 0;         ///< packets without reply that count against the window
};

} // namespace lab::efa
