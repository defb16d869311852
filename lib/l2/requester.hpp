// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/queue_pair_context.hpp"
#include "lib/l2/send_window.hpp"

#include <system_error>

namespace p2prdma::l2 {

/// The send queue of a queue pair: cuts requests into frames, takes what comes back for them, and
/// completes them in the order in which they were posted. It knows nothing of windows and timers.
/// Thread-safety: the engine's.
class Requester {
public:
    Requester(QueuePairContext& context, const QueuePairNames& names, const QueuePairSetup& setup);

    [[nodiscard]] std::errc post(const SendRequest& request) noexcept;

    /// What the peer takes: bytes of payload in a frame (of messages not yet begun), and reads and
    /// atomics at once.
    void set_limits(std::uint32_t payload, std::uint32_t reads) noexcept;
    /// Receives that the peer has posted.
    void set_credits(std::uint8_t credits) noexcept { credits_ = credits; }

    /// Whether there is a frame that may be sent, now that nothing but the window forbids it.
    [[nodiscard]] bool has_next() noexcept;
    [[nodiscard]] std::uint32_t next_bytes() noexcept; ///< of its payload; after has_next()
    [[nodiscard]] SendWindow::Cookie next_cookie() noexcept;
    void sent_next(std::uint32_t psn) noexcept;
    /// Builds a frame, also one that was sent before.
    [[nodiscard]] MemoryAccess::Result build(SendWindow::Cookie cookie, Draft& draft) noexcept;
    /// Whether the sender of this frame waits for its acknowledgement.
    [[nodiscard]] bool wants_ack(SendWindow::Cookie cookie) noexcept;

    /// The peer has processed all before this.
    void acknowledged(std::uint32_t unacknowledged) noexcept;
    /// A response, in order.
    [[nodiscard]] Outcome response(const wire::Frame& frame) noexcept;

    /// Ends all: those that are done in success, one with this status, the others as flushed.
    void fail(std::uint32_t request, Status status) noexcept;
    /// The request that the peer refuses by this psn, whether it has been acknowledged or not.
    [[nodiscard]] std::uint32_t request_at(std::uint32_t psn) noexcept;
    /// The one whose answer comes next.
    [[nodiscard]] std::uint32_t awaited_request() noexcept
    {
        return awaited() != nullptr ? awaited_ : oldest();
    }
    [[nodiscard]] std::uint32_t oldest() const noexcept { return ring_.head(); }
    [[nodiscard]] bool idle() const noexcept { return ring_.empty(); }
    void prefetch() const noexcept { ring_.prefetch(); }
    /// From now on completions go nowhere.
    void detach() noexcept { completions_ = nullptr; }

private:
    [[nodiscard]] bool may_begin(const SendWork& work) const noexcept;
    void begin(SendWork& work) noexcept;
    void fill_head(const SendWork& work, std::uint32_t frame, wire::Frame& head) noexcept;
    [[nodiscard]] Outcome place(SendWork& work, std::uint32_t offset,
                                std::span<const std::byte> data) noexcept;
    [[nodiscard]] Outcome read_response(SendWork& work, const wire::Frame& frame) noexcept;
    [[nodiscard]] Outcome atomic_response(SendWork& work, const wire::Frame& frame) noexcept;
    [[nodiscard]] SendWork* awaited() noexcept;
    void retire() noexcept;
    void complete(const SendWork& work, Status status) noexcept;

    QueuePairContext& context_;
    const QueuePairNames& names_;
    CompletionRing* completions_;
    SendRing ring_;
    std::uint32_t next_ = 0;           ///< the request whose frames are being sent
    std::uint32_t unacknowledged_ = 0; ///< the first that is not
    std::uint32_t awaited_ = 0;        ///< no response is awaited by one before it
    std::uint32_t payload_limit_ = 0;
    std::uint32_t read_limit_ = 1;
    std::uint32_t reads_ = 0;     ///< that wait for their response
    std::uint32_t receivers_ = 0; ///< requests under way that take a receive of the peer's
    std::uint8_t credits_ = 0;
};

} // namespace p2prdma::l2
