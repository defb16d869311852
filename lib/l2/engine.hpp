// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/connection_table.hpp"
#include "lib/l2/pending_requests.hpp"
#include "lib/l2/queue_pair_context.hpp"
#include "lib/l2/timer_heap.hpp"

#include <list>
#include <map>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

namespace p2prdma::l2 {

/// All connections of a port: gives frames that come to whom they are for, looks after timers, and
/// sends what the busy ones have to say, many frames at once. It reads no clock and starts no
/// thread, so that whole networks of engines run in simulated time.
///
/// Thread-safety: one thread at a time.
class Engine {
public:
    /// \param random  for keys, numbers and nonces
    Engine(Port& port, Pager& pager, const DeviceOptions& options, const RandomSource& random);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Takes frames, pages and timers that have come, and sends. Whether there was work. After
    /// messages for the application, it leaves to the next call, or transmit(), what can wait.
    bool progress(Time now);
    /// Whether frames have come or wait to be sent. If not, progress() would find timers and pages
    /// at most.
    [[nodiscard]] bool has_frames() noexcept;
    /// Sends only.
    void transmit(Time now);
    /// When progress() has work though no frame and no page comes.
    [[nodiscard]] Time deadline() const noexcept;

    [[nodiscard]] MemoryTable& memory() noexcept { return context_.memory; }
    [[nodiscard]] const Counters& counters() const noexcept { return context_.counters; }
    [[nodiscard]] std::uint8_t epoch() const noexcept { return epoch_; }
    [[nodiscard]] std::size_t connections() const noexcept { return table_.size(); }
    /// Of frames that came early or wait for pages, of all connections together.
    [[nodiscard]] std::size_t bytes_held() const noexcept { return context_.budget.used(); }
    [[nodiscard]] std::uint32_t new_domain() noexcept { return ++domains_; }

    /// nullptr: too many. The result stays until destroy().
    [[nodiscard]] Connection* connect(const MacAddress& peer, std::uint32_t service,
                                      const QueuePairSetup& setup, Time now);
    /// Answers a request; nullptr: it has gone, or too many.
    [[nodiscard]] Connection* accept(std::uint64_t request, const QueuePairSetup& setup, Time now);
    void reject(std::uint64_t request, std::span<const std::byte> private_data, Time now) noexcept;
    [[nodiscard]] PendingRequests& pending() noexcept { return pending_; }

    [[nodiscard]] std::errc post_send(Connection& connection, std::span<const SendRequest> requests,
                                      std::size_t& taken) noexcept;
    [[nodiscard]] std::errc post_receive(Connection& connection,
                                         const ReceiveRequest& request) noexcept;
    /// Whether transmit() has something to do.
    [[nodiscard]] bool has_to_send() const noexcept { return !active_.empty(); }
    /// Disconnects; the peer is told.
    void disconnect(Connection& connection, Time now) noexcept;
    /// Also ends its completions; the reference is void from now on.
    void destroy(Connection& connection, Time now) noexcept;

    /// A question who serves a number, and the answers that have come.
    struct Discovery {
        std::uint32_t service = 0;
        std::array<std::uint8_t, 16> nonce = {};
        std::vector<Peer> offers = {};
    };
    /// Begins one, which counts until end_discovery(); nothing is sent yet.
    [[nodiscard]] Discovery& begin_discovery(std::uint32_t service);
    /// To be done several times, as frames may be lost.
    void ask(const Discovery& discovery, Time now) noexcept;
    std::vector<Peer> end_discovery(Discovery& discovery) noexcept;

private:
    struct PeerState {
        Time heard = {}, ask_time = {};
        Connection* one = nullptr;    ///< that can be asked
        std::uint32_t asked = 0;      ///< number of the one that was asked last
        std::uint32_t unanswered = 0; ///< times that it was asked since it was heard
        std::uint8_t epoch = 0;
    };

    [[nodiscard]] bool receive(Time now);
    [[nodiscard]] bool fetch() noexcept;
    void warm(std::span<const std::span<const std::byte>> frames) noexcept;
    [[nodiscard]] bool resolve(Time now) noexcept;
    void run_timers(Time now) noexcept;
    bool serve(Time now) noexcept;
    void serve_one(Connection& connection, Time now) noexcept;
    void activate(Connection& connection) noexcept;
    void reap() noexcept;

    void take(std::span<const std::byte> bytes, Time now);
    void to_connection(const wire::Frame& frame, std::span<const std::byte> bytes, Time now);
    [[nodiscard]] bool is_genuine(Connection& connection, const wire::Frame& frame) noexcept;
    [[nodiscard]] bool opens(const wire::Frame& frame) noexcept;
    void count_forged(const wire::Frame& frame) noexcept;
    void connect_request(const wire::Frame& frame, std::span<const std::byte> bytes, Time now);
    void no_link(const wire::Frame& frame, Time now) noexcept;
    void take_no_link(const wire::Frame& frame, Time now) noexcept;
    void established(Connection& connection, Time now);
    void peer_restarted(const MacAddress& address, std::uint8_t epoch, Time now) noexcept;

    void discover_asked(const wire::Frame& frame, Time now) noexcept;
    void offer(const wire::Frame& frame);
    void refuse(const wire::Frame& request, RejectReason reason, Time now) noexcept;
    void send_reject(const MacAddress& peer, const wire::Connect& request, RejectReason reason,
                     std::span<const std::byte> private_data) noexcept;
    void send_unconnected(Draft& draft) noexcept { send_unconnected(draft, sealed()); }
    void send_unconnected(Draft& draft, bool with_seal) noexcept;
    [[nodiscard]] bool may_answer_strangers(Time now) noexcept;

    void tick(Time now) noexcept;
    void look_at_port(Time now) noexcept;
    void follow_address(Time now) noexcept;
    void look_at_peers(Time now) noexcept;
    void end_peer(const MacAddress& address, Time now) noexcept;
    void ask_peer(PeerState& peer, const MacAddress& address, Time now) noexcept;

    [[nodiscard]] std::optional<wire::Connect> new_local();
    [[nodiscard]] wire::Connect own() const noexcept;
    [[nodiscard]] bool sealed() const noexcept { return !context_.options.secret.empty(); }

    QueuePairContext context_;
    std::uint8_t epoch_;
    std::uint32_t frame_limit_;
    ConnectionTable table_;
    PendingRequests pending_;
    TimerHeap timers_;
    std::vector<Connection*> active_, serving_;
    std::vector<std::uint32_t> dying_; ///< numbers of connections without an owner
    std::map<MacAddress, PeerState> peers_;
    std::vector<std::span<const std::byte>> frames_;
    std::size_t fetched_ = 0; ///< of frames_, not yet taken
    std::vector<const Connection*> warmed_;
    std::list<Discovery> discoveries_;
    Time now_ = {};
    Time next_tick_ = {};
    Time strangers_since_ = {};
    unsigned strangers_ = 0; ///< answered since then
    std::uint32_t domains_ = 0;
    unsigned timers_late_ = 0;
    bool backlog_ = false; ///< the port seems to have more frames
    bool blocked_ = false; ///< the port has no room
};

} // namespace p2prdma::l2
