// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/admin_layout.hpp"
#include "tools/lab/efa/completion_queue.hpp"
#include "tools/lab/efa/context.hpp"
#include "tools/lab/efa/event_counter.hpp"
#include "tools/lab/efa/receive_queue.hpp"
#include "tools/lab/efa/responder.hpp"
#include "tools/lab/efa/send_queue.hpp"
#include "tools/lab/efa/wire.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace lab::efa {

enum class QpState : std::uint8_t {
    reset = 0,
    init = 1,
    rtr = 2, ///< ready to receive
    rts = 3, ///< ready to send
    sqd = 4, ///< send queue drained
    sqe = 5, ///< send queue in error
    error = 6,
};

/// What a receive completion tells about the message.
struct Arrival {
    PacketHeader header;
    Gid source;
    std::uint32_t length;
};

/// A queue pair: its state, and what joins its send queue, receive queue and responder.
///
/// A failed request of a datagram queue pair does not stop it: other destinations are as well as
/// before. What does is software that breaks the rings' rules; see fail().
class QueuePair final : public Transmitter, public std::enable_shared_from_this<QueuePair> {
public:
    static constexpr std::uint8_t rnr_retry_infinite = 7;

    struct Config {
        std::uint16_t number;
        std::uint16_t pd;
        bool reliable; ///< SRD, else UD
        bool unsolicited_write_recv;
        SendQueue::Ring send_ring;
        ReceiveQueue::Ring receive_ring;
        std::shared_ptr<CompletionQueue> send_cq;
        std::shared_ptr<CompletionQueue> receive_cq;
    };

    QueuePair(Context& context, const Config& config);
    ~QueuePair() override;

    std::uint16_t number() const { return config_.number; }
    std::uint16_t pd() const { return config_.pd; }
    bool reliable() const { return config_.reliable; }
    bool unsolicited_write_recv() const { return config_.unsolicited_write_recv; }
    QpState state() const { return state_; }
    std::uint32_t qkey() const { return qkey_; }
    std::uint8_t rnr_retry() const { return rnr_retry_; }
    CompletionQueue& send_cq() { return *config_.send_cq; }
    SendQueue& send_queue() { return send_queue_; }
    ReceiveQueue& receive_queue() { return receive_queue_; }
    /// What counts this queue pair's events.
    AttachedCounters& counters() { return counters_; }
    /// Counts resets: what was posted before one is not completed.
    std::uint32_t epoch() const { return epoch_; }
    /// Expires when the queue pair is destroyed: for callbacks.
    std::weak_ptr<QueuePair> guard() { return weak_from_this(); }

    /// The admin command. Nothing is changed unless the status is success.
    admin::Status modify(const admin::ModifyQp& command);
    admin::QueryQpResponse query() const;
    /// The queue pair is being destroyed: nothing is completed any more, requests of others that
    /// wait here are refused.
    void close();

    void send_doorbell(std::uint16_t producer);
    void receive_doorbell(std::uint16_t producer);
    void receive(const PacketPtr& packet);
    void undeliverable(const PacketHeader& header) { send_queue_.undeliverable(header); }

    /// @name For the parts
    /// @{
    bool transmit() override { return send_queue_.transmit(); }
    void activate() { context_.scheduler.activate(shared_from_this()); }
    bool can_receive() const { return state_ >= QpState::rtr && state_ < QpState::error; }
    void receives_posted();
    /// Software broke the rules of a ring: the error state.
    void fail();
    void complete_receive(const ReceiveRequest& request, CompletionStatus status,
                          const std::optional<Arrival>& arrival = std::nullopt);
    /// A write with immediate data that takes no receive request.
    void complete_unsolicited(const Arrival& arrival);
    /// @}

private:
    static bool may_change(QpState from, QpState to);
    void enter(QpState state);
    void flush();
    Completion receive_completion(CompletionStatus status) const;
    void describe_arrival(const Arrival& arrival, Completion& completion) const;

    Context& context_;
    Config config_;
    QpState state_ = QpState::reset;
    std::uint32_t epoch_ = 0;
    std::uint32_t qkey_ = 0;
    std::uint32_t sq_psn_ = 0;
    std::uint8_t rnr_retry_ = rnr_retry_infinite;
    AttachedCounters counters_;
    SendQueue send_queue_;
    ReceiveQueue receive_queue_;
    Responder responder_;
};

} // namespace lab::efa
