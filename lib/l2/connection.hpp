// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/handshake.hpp"
#include "lib/l2/queue_pair_context.hpp"
#include "lib/l2/requester.hpp"
#include "lib/l2/responder.hpp"
#include "lib/l2/seal.hpp"
#include "lib/l2/send_window.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <system_error>

namespace p2prdma::l2 {

/// One end of a connection: joins handshake, windows, requester and responder, and sends what they
/// want to. Frames that come in were checked to be its own. Thread-safety: the engine's.
class Connection {
public:
    Connection(QueuePairContext& context, const QueuePairSetup& setup, const MacAddress& peer,
               const wire::Connect& local);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void connect(Time now) noexcept;
    /// Answers a connect_request. False: it makes no sense.
    bool accept(const wire::Connect& request, std::span<const std::byte> private_data, Time now);
    /// Flushes, tells the peer, and needs nothing of its owner any more.
    void disconnect(Time now) noexcept;
    /// The owner goes: completions go nowhere from now on.
    void detach() noexcept;

    [[nodiscard]] std::errc post_send(const SendRequest& request) noexcept;
    [[nodiscard]] std::errc post_receive(const ReceiveRequest& request) noexcept;

    /// Whether the seal of a frame of this connection is good, and new.
    [[nodiscard]] Opener::Result open(const wire::Frame& frame) noexcept;
    /// A reject that is not authenticated though there is a secret. False: it is nothing.
    bool take_hint(const wire::Frame& reject) noexcept;
    /// A frame of this connection. `bytes`: all of it.
    void received(const wire::Frame& frame, std::span<const std::byte> bytes, Time now);
    /// It has just been established.
    void begin() noexcept { sending_->set_round_trip_bound(handshake_.answer_time()); }
    /// What Pager::resolve() was called for has ended.
    void resolved(std::uint64_t token, int error, Time now) noexcept;
    /// The peer restarted, is silent, or does not know this connection.
    void lost(Time now) noexcept;
    /// This end's address changes: frames to the old one do not come any more.
    void moved(Time now) noexcept;
    /// Sends what may be sent now, a fair share at most. True: there is more.
    [[nodiscard]] bool transmit(Time now) noexcept;
    /// The link's frame limit has changed.
    void set_frame_limit(std::uint32_t bytes) noexcept;
    /// When transmit() must be called though nothing has come.
    [[nodiscard]] Time deadline() const noexcept;
    /// Asks the peer for a sign of life. False: it cannot be asked now.
    bool ask_alive(Time now) noexcept;

    [[nodiscard]] const Handshake& handshake() const noexcept { return handshake_; }
    [[nodiscard]] ConnectionState state() const noexcept { return handshake_.state(); }
    /// The peer may know it.
    [[nodiscard]] bool is_alive() const noexcept
    {
        return state() == ConnectionState::established || state() == ConnectionState::reply_sent;
    }
    [[nodiscard]] std::uint32_t number() const noexcept { return names_.number; }
    [[nodiscard]] const MacAddress& peer() const noexcept { return names_.peer; }
    [[nodiscard]] std::uint32_t payload_limit() const noexcept { return payload_limit_; }
    [[nodiscard]] bool idle() const noexcept { return requester_.idle() && responder_.idle(); }
    [[nodiscard]] const QueuePairSetup& setup() const noexcept { return setup_; }
    [[nodiscard]] bool detached() const noexcept { return detached_; }
    /// It ended, and the owner has gone: it can be deleted.
    [[nodiscard]] bool finished() const noexcept;

    /// A receive was posted for which the peer waits: it is to be told.
    [[nodiscard]] bool has_news() const noexcept { return receive_news_; }
    [[nodiscard]] Time heard() const noexcept { return last_heard_; }

    /// Has the processor fetch this object, which is read a little later.
    void prefetch() const noexcept;
    /// The same for the memory of its queues, when the object itself is there.
    void prefetch_queues() const noexcept;

    /// For the engine's lists.
    bool active = false;
    Time timer = Time::max();

    /// Bytes around the payload of a frame, at most; of any whose payload may be that long.
    [[nodiscard]] static std::uint32_t overhead(bool sealed) noexcept;
    /// Bytes of payload that fit into any frame of this size.
    [[nodiscard]] static std::uint32_t payload_of(std::uint32_t frame_limit, bool sealed) noexcept;

private:
    /// A page that is being brought.
    struct Waiting {
        std::uint64_t token = 0; ///< 0: none
        Time since = Time::max();
        std::uint32_t psn = 0;     ///< of the frame that needs it
        bool answer = false;       ///< placing: the frame answers a request of ours
        SendWindow::Cookie cookie; ///< gathering: the frame
    };

    /// Of a connection whose frames are authenticated.
    struct Seals {
        Sealer sealer;
        Opener opener;
    };

    void establish(Time now);
    [[nodiscard]] std::unique_ptr<Seals> make_seals() const;
    [[nodiscard]] Sealer* sealer() noexcept { return seals_ ? &seals_->sealer : nullptr; }
    void act(ConnectionAction action) noexcept;
    void repeat_handshake(Time now) noexcept;
    void fail(std::uint32_t request, Status status, Time now) noexcept;
    void fail_here(std::uint32_t request, Status status, Time now) noexcept;
    void flush(std::uint32_t request, Status status) noexcept;

    void take_reply(const wire::Frame& frame, Time now);
    void take_reject(const wire::Frame& frame, Time now);
    void connected_frame(const wire::Frame& frame, std::span<const std::byte> bytes, Time now);
    void take_report(const wire::Frame& frame, Time now) noexcept;
    void take_acknowledgement(const wire::Frame& frame, Time now) noexcept;
    void take_nak(const wire::Frame& frame, Time now) noexcept;
    void sequenced(const wire::Frame& frame, std::span<const std::byte> bytes, Time now) noexcept;
    void drain(Time now) noexcept;
    [[nodiscard]] bool process(const wire::Frame& frame, std::span<const std::byte> bytes,
                               Time now) noexcept;
    void not_ready(Time now) noexcept;
    void refuse(wire::Syndrome syndrome, bool response, Time now) noexcept;
    void refuse_at(std::uint32_t psn, wire::Syndrome syndrome, Time now) noexcept;

    [[nodiscard]] std::uint64_t new_token() noexcept;
    void forget(Waiting& waiting) noexcept;
    [[nodiscard]] std::uint32_t begin_waiting(Waiting& waiting, const Missing& missing,
                                              std::uint32_t psn, Time now) noexcept;
    void page_missing(const Missing& missing, bool response, std::span<const std::byte> bytes,
                      Time now) noexcept;
    void wait_to_gather(SendWindow::Cookie cookie, const Missing& missing, std::uint32_t psn,
                        Time now) noexcept;
    void end_placing(int error, Time now) noexcept;
    void end_gathering(int error, Time now) noexcept;
    [[nodiscard]] bool may_have_arrived(Time now) noexcept;
    void cannot_gather(SendWindow::Cookie cookie, wire::Syndrome syndrome, Status local,
                       Time now) noexcept;
    void check_faults(Time now) noexcept;

    [[nodiscard]] bool send_data(Time now) noexcept;
    [[nodiscard]] bool send_reports(Time now) noexcept;
    [[nodiscard]] bool responder_is_next() noexcept;
    [[nodiscard]] bool send_one(Time now) noexcept;
    [[nodiscard]] bool send_fresh(bool response, std::uint32_t bytes, Time now) noexcept;
    [[nodiscard]] bool send_again(Time now) noexcept;
    [[nodiscard]] bool build(SendWindow::Cookie cookie, std::uint32_t psn, Draft& draft,
                             Time now) noexcept;
    void push_sequenced(Draft& draft, std::uint32_t psn, bool awaited, Time now) noexcept;
    void send_frame(Draft& draft, Sealer* sealer) noexcept;
    void send_probe(Time now) noexcept;
    void send_ack(Time now) noexcept;
    void send_stall(Time now) noexcept;
    [[nodiscard]] bool waits_unwatched() const noexcept;
    void keep_alive(Time now) noexcept;
    void check_failure(Time now) noexcept;
    void count() noexcept;

    QueuePairContext& context_;
    QueuePairSetup setup_;
    QueuePairNames names_;
    Handshake handshake_;
    Requester requester_;
    Responder responder_;
    std::optional<SendWindow> sending_;
    std::optional<ReceiveWindow> receiving_;
    std::unique_ptr<Seals> seals_;
    bool initiator_ = false;
    std::optional<SendWindow::Again> again_; ///< given out, but its page was not there
    Waiting placing_, gathering_;
    SendWindow::Counters counted_;
    Time unread_since_ = Time::max(); ///< unread_psn_ is to be sent again, its memory is gone
    Time last_heard_ = {};
    Time alive_asked_ = {};
    std::uint32_t payload_limit_ = 0;
    std::uint32_t unread_psn_ = 0;
    std::uint32_t refused_psn_ = 0;    ///< if refused_
    std::uint32_t not_ready_wait_ = 0; ///< microseconds
    std::uint32_t stall_estimate_ = 0; ///< to be told, if not 0
    std::uint32_t tokens_ = 0;
    std::uint8_t stalls_ = 0;
    bool refused_ = false;
    bool receive_news_ = false;
    bool detached_ = false;
    bool response_turn_ = false;
    bool unreported_ = false; ///< frames were processed since the last acknowledgement
};

} // namespace p2prdma::l2
