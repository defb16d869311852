// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"
#include "lib/l2/wire.hpp"

#include <cstdint>
#include <optional>

namespace p2prdma::l2 {

/// One direction of a connection, the sender's half: which frames the peer has, which to send again
/// and when, how many may be under way, and what to do while the peer waits for a page.
///
/// It knows no messages: a cookie stands for whatever the caller needs to build a frame again.
class SendWindow {
public:
    struct Config {
        std::uint32_t first_psn = 0;
        std::uint32_t frames = 1024;      ///< at most so many under way
        std::uint32_t frame_bytes = 1514; ///< of a full frame; for congestion control
        std::uint8_t retries = 7;
        std::uint8_t rnr_retries = 7; ///< 7: for ever
        Time min_timeout = std::chrono::milliseconds(1);
        Time max_timeout = std::chrono::milliseconds(500);
        Time fault_cap = std::chrono::milliseconds(100); ///< of estimate * k before a probe
        unsigned fault_probes = 5; ///< unanswered, after which timeouts count as without a fault
    };
    struct Cookie {
        std::uint32_t request = 0; ///< the caller's
        std::uint32_t frame = 0;   ///< the caller's: which frame of it
    };
    enum class Failure : std::uint8_t { none, retry_exceeded, rnr_retry_exceeded };
    /// What is to be sent now.
    enum class Next : std::uint8_t {
        nothing, ///< until deadline(), or an acknowledgement
        fresh,   ///< a new frame, if the caller has one: sent() gives its number
        again,   ///< frame_again()
        probe,   ///< an Opcode::probe
    };

    explicit SendWindow(const Config& config);

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
    /// The peer waits for a page (delay), goes on (resume), or is itself stalled (stall).
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

    // The rest is the implementer's. An idle window holds no heap memory to speak of.
};

} // namespace p2prdma::l2
