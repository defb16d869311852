// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/congestion.hpp"
#include "lib/l2/flight.hpp"
#include "lib/l2/peer_fault.hpp"
#include "lib/l2/port.hpp"
#include "lib/l2/round_trip.hpp"
#include "lib/l2/wire.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace p2prdma::l2 {

/// One direction of a connection, the sender's half: which frames the peer has, which to send again
/// and when, how many may be under way, and what to do while the peer waits for a page.
///
/// It knows no messages: a cookie stands for whatever the caller needs to build a frame again.
/// Modelled, with the receiver's half, in models/l2_reliability.pml and l2_fault.pml.
class SendWindow {
public:
    struct Config {
        std::uint32_t first_psn = 0;
        std::uint32_t frames = 1024;      ///< at most so many under way, and what the peer can hold
        std::uint32_t frame_bytes = 1514; ///< of a full frame
        std::uint32_t peer_buffer = 1024 * 1024; ///< bytes: the peer's ReceiveWindow buffer_limit
        std::uint8_t retries = 7;                ///< timeouts in a row, and so long:
        Time patience{};              ///< silence during which it goes on trying all the same
        std::uint8_t rnr_retries = 7; ///< 7: for ever
        Time min_timeout = std::chrono::milliseconds(1);
        Time max_timeout = std::chrono::milliseconds(500);
        Time fault_cap = std::chrono::milliseconds(100); ///< of estimate * k before a probe
        Time fault_limit = std::chrono::seconds(5); ///< T_max: a page of the peer's takes as long,
                                                    ///< and an estimate more, at most
        unsigned fault_probes = 5; ///< unanswered, after which timeouts count as without a fault
    };
    using Cookie = FrameCookie;
    enum class Failure : std::uint8_t {
        none,
        retry_exceeded,
        rnr_retry_exceeded,
        remote_fault, ///< FaultKind::abort, or fault_limit is over
    };
    /// What is to be sent now.
    enum class Next : std::uint8_t {
        nothing, ///< until deadline(), or an acknowledgement
        fresh,   ///< a new frame, if the caller has one: sent() gives its number
        again,   ///< frame_again()
        probe,   ///< an Opcode::probe
    };

    explicit SendWindow(const Config& config) noexcept;

    /// No round trip is longer, as far as is known before there is a sample.
    void set_round_trip_bound(Time bound) noexcept { round_trip_bound_ = bound; }

    /// A full frame has another size from now on.
    void set_frame_bytes(std::uint32_t bytes) noexcept;

    /// What may be sent at `now`. `have_fresh`: the caller has a new frame of `bytes`.
    [[nodiscard]] Next next(Time now, bool have_fresh, std::uint32_t bytes) noexcept;
    /// The new frame's psn; it is under way from now on.
    [[nodiscard]] std::uint32_t sent(Cookie cookie, std::uint32_t bytes, Time now) noexcept;
    struct Again {
        std::uint32_t psn = 0;
        Cookie cookie;
    };
    /// After Next::again: the frame; it counts as sent again at `now`.
    [[nodiscard]] Again frame_again(Time now) noexcept;
    /// After Next::probe: one was sent; its psn.
    [[nodiscard]] std::uint32_t probe_sent(Time now) noexcept;
    /// Whether the frame just given out should carry Flag::ack_request (window nearly used up, last
    /// of what there is, and so on).
    [[nodiscard]] bool wants_ack() const noexcept;

    /// An acknowledgement, from whatever frame. False: it is impossible, and was ignored.
    bool acknowledged(const wire::Ack& ack, const wire::Sack* sack, bool congested,
                      Time now) noexcept;
    /// The peer waits for a page (delay), goes on (resume), or is itself stalled (stall). False:
    /// it is impossible, and was ignored. Not for the extension of a nak.
    bool fault(const wire::Fault& fault, Time now) noexcept;
    /// A nak receiver_not_ready for psn: all from there on is sent again after `wait`.
    bool not_ready(std::uint32_t psn, Time wait, Time now) noexcept;
    /// A sign of life that acknowledges nothing.
    void heard(Time now) noexcept;

    /// All before it were processed by the peer.
    [[nodiscard]] std::uint32_t unacknowledged() const noexcept;
    [[nodiscard]] std::uint32_t next_psn() const noexcept;  ///< of the next fresh frame
    [[nodiscard]] std::uint32_t under_way() const noexcept; ///< frames
    /// The cookie of a frame under way.
    [[nodiscard]] std::optional<Cookie> cookie(std::uint32_t psn) const noexcept;
    /// When next() must be asked again though nothing came.
    [[nodiscard]] Time deadline() const noexcept;
    [[nodiscard]] Failure failure() const noexcept;
    [[nodiscard]] bool peer_faulting() const noexcept; ///< between delay and resume

    struct Counters {
        std::uint64_t frames = 0, again = 0, timeouts = 0, tail_probes = 0, fault_delays = 0,
                      fault_probes = 0, rnr_waits = 0;
    };
    [[nodiscard]] const Counters& counters() const noexcept;
    [[nodiscard]] Time smoothed_round_trip() const noexcept;

    void prefetch() const noexcept { flight_.prefetch(); }
    /// Kept while frames are under way, and a little longer.
    [[nodiscard]] std::size_t heap_bytes() const noexcept { return flight_.heap_bytes(); }

private:
    static constexpr Time never = Time::max();

    void limit_to_peer_buffer() noexcept;
    [[nodiscard]] bool is_of_pause(Time sample, Time now) const noexcept;
    [[nodiscard]] bool is_possible(std::int32_t ahead, const wire::Sack* sack) const noexcept;
    [[nodiscard]] bool is_in_trouble() const noexcept;
    [[nodiscard]] std::uint32_t window() const noexcept;
    [[nodiscard]] bool has_room() noexcept;
    [[nodiscard, gnu::cold]] std::optional<Next> next_in_trouble(Time now, bool have_fresh,
                                                                 std::uint32_t bytes) noexcept;
    [[nodiscard]] Next wait_for_page(Time now, bool have_fresh, std::uint32_t bytes) noexcept;
    [[nodiscard, gnu::cold]] Next loss_timer(Time now) noexcept;
    [[nodiscard]] Next time_out(Time now) noexcept;
    void find_losses(Time now) noexcept;
    void lost(std::uint32_t frames) noexcept;
    void restart_timer(Time now) noexcept;
    Flight::Delivery advance(std::uint32_t frames, Time now) noexcept;
    Flight::Delivery hold(Flight::Delivery before, const wire::Sack& sack, Time now) noexcept;
    void watch_gaps(bool congested, Time now) noexcept;
    void told_all(Time now) noexcept;
    void limit_fault(Time estimate, Time now) noexcept;
    void fault_acted(PeerFault::Action action, Time now) noexcept;
    [[nodiscard]] Time timeout() const noexcept;
    [[nodiscard]] Time tail_timeout() const noexcept;

    Config config_;
    std::uint32_t frames_ = 0; ///< of config_'s, as many as the peer has room for
    Flight flight_;
    RoundTrip round_trip_;
    Time round_trip_bound_ = never;
    Congestion congestion_;
    PeerFault fault_;
    Counters counters_;
    Time timer_at_ = never;    ///< something must have been heard by then; idle: memory is freed
    Time fault_since_ = never; ///< since then nothing was processed for want of a page
    Time fault_until_ = never;
    Time paused_until_{};       ///< nothing is sent until then
    Time resumed_at_{};         ///< the last pause for the sake of the network ended then
    Time silent_since_{};       ///< if timeouts_ is not 0
    Time told_all_at_ = never;  ///< the peer went on then, having told what it holds
    std::uint32_t told_to_ = 0; ///< ...before that frame
    std::uint32_t again_psn_ = 0;
    std::uint32_t since_ask_ = 0; ///< frames sent since one carried ack_request
    std::uint8_t timeouts_ = 0;   ///< since there was progress
    std::uint8_t not_readies_ = 0;
    Failure failure_ = Failure::none;
    bool tail_probed_ = false;   ///< since there was progress
    bool guess_ = false;         ///< a timer alone is why a frame is to be sent again
    bool testing_ready_ = false; ///< one frame only, to see whether the peer is ready
    bool ask_ = false;
    bool congested_ = false;
};

} // namespace p2prdma::l2
