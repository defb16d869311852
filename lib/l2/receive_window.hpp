// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/fault_states.hpp"
#include "lib/l2/held_frames.hpp"
#include "lib/l2/port.hpp"
#include "lib/l2/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace p2prdma::l2 {

/// Bytes that all connections of a device hold together: G. Thread-safety: the engine's.
class BufferBudget {
public:
    explicit BufferBudget(std::size_t limit) noexcept : limit_(limit) {}
    [[nodiscard]] bool take(std::size_t bytes) noexcept
    {
        if (bytes > limit_ - used_)
            return false;
        used_ += bytes;
        return true;
    }
    void give_back(std::size_t bytes) noexcept { used_ -= bytes; }
    [[nodiscard]] std::size_t used() const noexcept { return used_; }
    [[nodiscard]] std::size_t available() const noexcept { return limit_ - used_; }

private:
    std::size_t limit_;
    std::size_t used_ = 0;
};

/// One direction of a connection, the receiver's half: puts frames in order, each once; holds those
/// that came early or while a page is being brought; says what to acknowledge and when.
///
/// Acknowledged (Ack::next) is what was *processed*: its payload is in the application's memory.
/// What is held is reported by Sack and is not sent again.
class ReceiveWindow {
public:
    struct Config {
        std::uint32_t first_psn = 0;
        std::uint32_t buffer_limit = 1024 * 1024; ///< bytes held: B
        bool fault_delay = true; ///< else RNR rules: what cannot be processed is dropped
        Time ack_delay = std::chrono::microseconds(200);
        std::uint32_t ack_frames = 16; ///< processed frames after which one acknowledges at once
    };
    enum class Arrival : std::uint8_t {
        process,   ///< it is the next: the caller processes it, then calls processed() or stalls
        held,      ///< early, or during a fault: copied, comes out of held() in order
        duplicate, ///< is acknowledged again
        dropped,   ///< no room, or too far ahead
    };

    /// The budget outlives it.
    ReceiveWindow(const Config& config, BufferBudget& budget) noexcept;

    /// A sequenced frame has come. `frame`: all of its bytes, copied if it is held.
    [[nodiscard]] Arrival arrived(const wire::Header& header, std::span<const std::byte> frame,
                                  Time now) noexcept;
    /// The next frame in order that was held, if it can be processed now; valid until processed().
    [[nodiscard]] std::optional<std::span<const std::byte>> held() noexcept;
    /// The next frame was processed. `message_ends`: it was the last of one.
    void processed(bool message_ends, bool ack_now, Time now) noexcept;

    /// The next frame needs a page that is not there: it and what follows is held (it is copied
    /// from `frame` unless it came out of held()). Sends a delay, again when `estimate` is over,
    /// until resolved(). False: there was no room to hold it; it is as if it had not come, but a
    /// delay is due, and a resume when it is over, upon which the peer sends it again.
    bool stall(std::span<const std::byte> frame, std::uint32_t estimate_us, Time now) noexcept;
    /// The page is there (or may have gone again: then stall() is called again): held() goes on,
    /// and a resume is sent.
    void resolved(Time now) noexcept;
    [[nodiscard]] bool stalled() const noexcept;
    /// Under RNR rules, or without a posted receive: the frame is dropped; a nak is due.
    void not_ready(std::uint32_t wait_us, Time now) noexcept;
    /// The frame before which all ends: refused. From now on all is dropped, a nak repeats it.
    void refuse(wire::Syndrome syndrome, Time now) noexcept;

    /// Whether an acknowledgement is due at `now` (what is piggybacked counts).
    [[nodiscard]] bool ack_due(Time now) const noexcept;
    [[nodiscard]] Time deadline() const noexcept; ///< of ack_due() to become true by itself
    /// What an acknowledgement says now; it counts as sent. A frame of data carries `ack` only.
    struct Report {
        wire::Ack ack;
        std::optional<wire::Sack> sack;   ///< if something is held beyond a gap
        std::optional<wire::Fault> fault; ///< delay, resume, or (with a syndrome) the wait of a nak
        bool congested = false;
    };
    [[nodiscard]] Report report(Time now) noexcept;
    [[nodiscard]] wire::Ack piggyback(Time now) noexcept;
    /// The peer asked: ack_due() holds from now on.
    void ask(Time now) noexcept;

    [[nodiscard]] std::uint32_t next() const noexcept;   ///< psn of the next frame to be processed
    [[nodiscard]] std::size_t buffered() const noexcept; ///< bytes held, and of managing them

private:
    using State = fault_states::SinkState;
    using Event = fault_states::SinkEvent;
    using Action = fault_states::SinkAction;
    static constexpr Time never = Time::max();

    [[nodiscard, gnu::cold]] Arrival
    arrived_unexpectedly(std::int32_t ahead, std::span<const std::byte> frame, Time now) noexcept;
    [[nodiscard]] Arrival hold(std::uint32_t ahead, std::span<const std::byte> frame,
                               Time now) noexcept;
    [[gnu::cold]] void processed_in_trouble(Time now) noexcept;
    void count_unacknowledged(Time now) noexcept;
    [[gnu::cold]] void step(Event event, std::uint32_t estimate_us, Time now) noexcept;
    void tell_delay(std::uint32_t estimate_us, Time now) noexcept;
    [[nodiscard]] std::uint32_t grown_estimate() const noexcept;
    [[nodiscard]] std::optional<wire::Fault> fault(Time now) const noexcept;

    Config config_;
    HeldFrames held_;
    Time ack_at_ = never;   ///< for what was processed and not yet acknowledged
    Time timer_at_ = never; ///< of the fault's state
    Time delay_ends_at_{};  ///< as it was told
    std::uint32_t next_;
    std::uint32_t messages_ = 0;
    std::uint32_t unacknowledged_ = 0; ///< frames
    std::uint32_t estimate_ = 0;       ///< microseconds, last told
    std::uint32_t wait_ = 0;           ///< microseconds, of a nak receiver_not_ready
    std::uint32_t fault_psn_ = 0;
    std::uint32_t farthest_; ///< after all that has come
    std::uint8_t epoch_ = 0;
    State state_ = State::fault_free;
    wire::Syndrome syndrome_ = wire::Syndrome::none;
    bool ack_due_ = false;    ///< even a bare one
    bool report_due_ = false; ///< with all that it can say
    bool resume_due_ = false;
    bool dropping_ = false; ///< the next frame was not taken, and none is until it comes again
};

} // namespace p2prdma::l2
