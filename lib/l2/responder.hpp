// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/queue_pair_context.hpp"
#include "lib/l2/send_window.hpp"

#include <optional>
#include <system_error>

namespace p2prdma::l2 {

/// The receive queue of a queue pair, and what it does for its peer: takes requests in order, each
/// once, and keeps answers until the peer has them. Thread-safety: the engine's.
class Responder {
public:
    /// In SendWindow::Cookie::request: a frame of the responder's.
    static constexpr std::uint32_t cookie_bit = 0x80000000;

    Responder(QueuePairContext& context, const QueuePairNames& names, const QueuePairSetup& setup);

    [[nodiscard]] std::errc post(const ReceiveRequest& request) noexcept;
    void set_payload_limit(std::uint32_t bytes) noexcept { payload_limit_ = bytes; }

    /// A request's frame, in order. Unless it returns done, the frame has had no effect but on
    /// memory that it may write to.
    [[nodiscard]] Outcome request(const wire::Frame& frame) noexcept;

    /// Answers to be sent; as Requester's.
    [[nodiscard]] bool has_next() noexcept
    {
        return next_ != responses_.tail() &&
               (payload_limit_ != 0 || responses_[next_].cut.frames != 0);
    }
    [[nodiscard]] std::uint32_t next_bytes() noexcept;
    [[nodiscard]] SendWindow::Cookie next_cookie() noexcept;
    void sent_next(std::uint32_t psn) noexcept;
    [[nodiscard]] MemoryAccess::Result build(SendWindow::Cookie cookie, Draft& draft) noexcept;
    void acknowledged(std::uint32_t unacknowledged) noexcept;
    /// The psn of the request that this frame answers.
    [[nodiscard]] std::uint32_t request_psn(SendWindow::Cookie cookie) noexcept
    {
        return responses_[cookie.request].request_psn;
    }

    /// Receives that are posted; at most 255.
    [[nodiscard]] std::uint8_t credits() const noexcept;
    /// Whether a request found no receive, since it was asked last.
    [[nodiscard]] bool was_starved() noexcept { return std::exchange(starved_, false); }
    [[nodiscard]] bool idle() const noexcept { return !incoming_ && responses_.empty(); }
    /// Ends all receives as flushed.
    void flush() noexcept;
    void detach() noexcept { completions_ = nullptr; }

private:
    struct Incoming {
        wire::Opcode opcode = wire::Opcode::send;
        RemoteMemory memory = {};
        std::uint32_t length = 0;
        std::uint32_t received = 0;
    };

    [[nodiscard]] Outcome send(const wire::Frame& frame) noexcept;
    [[nodiscard]] Outcome write(const wire::Frame& frame) noexcept;
    [[nodiscard]] Outcome write_frame(const wire::Frame& frame, Incoming& message) noexcept;
    [[nodiscard]] Outcome read(const wire::Frame& frame) noexcept;
    [[nodiscard]] Outcome atomic(const wire::Frame& frame) noexcept;
    [[nodiscard]] Outcome starved() noexcept;
    [[nodiscard]] bool continues(const wire::Frame& frame) const noexcept;
    [[nodiscard]] Outcome proceed(const wire::Frame& frame, Incoming& message) noexcept;
    [[nodiscard]] AccessScope remote(Access wanted) const noexcept
    {
        return {names_.domain, wanted, &names_.peer};
    }
    void complete(const wire::Frame* frame, Status status, std::uint32_t length) noexcept;

    QueuePairContext& context_;
    const QueuePairNames& names_;
    CompletionRing* completions_;
    ReceiveRing receives_;
    ResponseRing responses_;
    std::uint32_t next_ = 0; ///< the answer whose frames are being sent
    std::uint32_t payload_limit_ = 0;
    std::optional<Incoming> incoming_;
    bool starved_ = false;
};

} // namespace p2prdma::l2
