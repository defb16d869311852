// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/context.hpp"
#include "tools/lab/efa/receive_queue.hpp"
#include "tools/lab/efa/region_dma.hpp"
#include "tools/lab/efa/wire.hpp"

#include <deque>
#include <memory>
#include <vector>

namespace lab::efa {

class QueuePair;

/// Sends the reply to a request.
void reply(Context& context, const Packet& request, CompletionStatus status);

/// The responder's side of a queue pair: what other adapters ask for.
///
/// A message that finds no receive buffer waits here, and its sender is told; other requests are
/// served as they come. Completions follow the data that they announce.
class Responder {
public:
    Responder(Context& context, QueuePair& owner) : context_(context), owner_(owner) {}

    void handle(const PacketPtr& packet);
    /// Receive buffers were posted: messages that wait for them go on.
    void receives_posted();
    /// Refuses everything that waits.
    void refuse_held(CompletionStatus status);

private:
    bool authorized(const PacketHeader& header) const;
    void accept_message(const PacketPtr& packet, const PacketHeader& header);
    bool needs_receive(const PacketHeader& header) const;
    void hold(const PacketPtr& packet, const PacketHeader& header);
    void deliver(const PacketPtr& packet, const PacketHeader& header);
    void deliver_send(const PacketPtr& packet);
    void delivered(const PacketPtr& packet, const ReceiveRequest& request, int error);
    bool resolve(const ReceiveRequest& request, std::uint64_t length,
                 std::vector<RegionPiece>& pieces) const;
    void deliver_notify(const PacketPtr& packet, const PacketHeader& header);
    void write(const PacketPtr& packet, const PacketHeader& header);
    void read(const PacketPtr& packet, const PacketHeader& header);
    void cancel(const PacketPtr& packet, const PacketHeader& header);
    CompletionStatus check_remote(const Packet& packet, const PacketHeader& header,
                                  std::uint64_t length, std::uint8_t access,
                                  std::vector<RegionPiece>& pieces) const;
    void answer(const PacketPtr& packet, CompletionStatus status);

    Context& context_;
    QueuePair& owner_;
    std::deque<PacketPtr> held_; ///< in the order that they came
};

} // namespace lab::efa
