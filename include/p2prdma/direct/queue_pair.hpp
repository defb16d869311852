// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/efa_receive_queue.hpp"
#include "p2prdma/direct/efa_send_queue.hpp"
#include "p2prdma/direct/session.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace p2prdma::direct {

class CompletionQueue;

/// What a QueuePair is made with. What the adapter cannot do is refused with a sentence.
struct QueuePairOptions {
    std::uint32_t send_entries = 64;    ///< at least that many
    std::uint32_t receive_entries = 0;  ///< at least that many; 0: it receives no messages
    std::uint32_t inline_bytes = 32;    ///< more than 32: 128-byte requests, and inline writes
    std::optional<std::uint32_t> key{}; ///< of the queue pair; default: a random number
};

/// A queue pair of scalable reliable datagrams: reliable, to any number of peers, in no order. This
/// CPU writes its requests into the adapter's queue memory and rings its doorbell. Move-only; keeps
/// its completion queues.
///
/// post_...() makes the adapter execute one request; add_...() collects them for one ring().
/// What they take and return, and when entries are free again: EfaSendQueue.
///
/// What a completion means: a write's data has reached the remote adapter's side; it is visible to
/// the remote CPU once a read of this queue pair from there (post_flush()), posted after the
/// write's completion, has completed too. What a read brought, and what a receive tells of, is
/// visible at once.
///
/// Thread-safety: one thread at a time, which includes poll() of its completion queues.
class P2PRDMA_API QueuePair final {
public:
    /// \throws Error bad_argument if the completion queues are too small for what may be
    /// outstanding
    QueuePair(const Session& session, std::uint32_t adapter, CompletionQueue& send_queue,
              CompletionQueue& receive_queue, const QueuePairOptions& options = {});
    /// One completion queue for both.
    QueuePair(const Session& session, std::uint32_t adapter, CompletionQueue& queue,
              const QueuePairOptions& options = {})
        : QueuePair(session, adapter, queue, queue, options)
    {
    }

    /// By these two and the adapter's GID peers find it.
    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }
    [[nodiscard]] std::uint32_t key() const noexcept { return key_; }

    [[nodiscard]] Posted add_write(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                                   const RemotePlace& to, Signal signal = Signal::yes) noexcept
    {
        return send_->add_write(id, peer, from, to, signal);
    }
    [[nodiscard]] Posted add_read(std::uint64_t id, const Peer& peer, const LocalBuffer& into,
                                  const RemotePlace& from, Signal signal = Signal::yes) noexcept
    {
        return send_->add_read(id, peer, into, from, signal);
    }
    [[nodiscard]] Posted add_send(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                                  Signal signal = Signal::yes) noexcept
    {
        return send_->add_send(id, peer, from, signal);
    }
    [[nodiscard]] Posted add_write_inline(std::uint64_t id, const Peer& peer,
                                          std::span<const std::byte> from, const RemotePlace& to,
                                          Signal signal = Signal::yes) noexcept
    {
        return send_->add_write_inline(id, peer, from, to, signal);
    }
    [[nodiscard]] Posted add_send_inline(std::uint64_t id, const Peer& peer,
                                         std::span<const std::byte> from,
                                         Signal signal = Signal::yes) noexcept
    {
        return send_->add_send_inline(id, peer, from, signal);
    }
    void ring() noexcept { send_->ring(); }

    [[nodiscard]] Posted post_write(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                                    const RemotePlace& to, Signal signal = Signal::yes) noexcept
    {
        return rung(add_write(id, peer, from, to, signal));
    }
    [[nodiscard]] Posted post_read(std::uint64_t id, const Peer& peer, const LocalBuffer& into,
                                   const RemotePlace& from, Signal signal = Signal::yes) noexcept
    {
        return rung(add_read(id, peer, into, from, signal));
    }
    [[nodiscard]] Posted post_send(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                                   Signal signal = Signal::yes) noexcept
    {
        return rung(add_send(id, peer, from, signal));
    }
    [[nodiscard]] Posted post_write_inline(std::uint64_t id, const Peer& peer,
                                           std::span<const std::byte> from, const RemotePlace& to,
                                           Signal signal = Signal::yes) noexcept
    {
        return rung(add_write_inline(id, peer, from, to, signal));
    }
    [[nodiscard]] Posted post_send_inline(std::uint64_t id, const Peer& peer,
                                          std::span<const std::byte> from,
                                          Signal signal = Signal::yes) noexcept
    {
        return rung(add_send_inline(id, peer, from, signal));
    }
    /// Makes earlier writes to the memory around `where`, whose completions were seen, visible
    /// there once it completes: a read of one byte into `scratch`, which is of no other use.
    [[nodiscard]] Posted post_flush(std::uint64_t id, const Peer& peer, LocalBuffer scratch,
                                    const RemotePlace& where) noexcept
    {
        scratch.length = 1;
        return post_read(id, peer, scratch, where);
    }

    /// A buffer for one message; unsupported if the queue pair was made without receive entries.
    [[nodiscard]] Posted post_receive(std::uint64_t id, const LocalBuffer& into) noexcept
    {
        if (!receive_)
            return Posted::unsupported;
        const Posted posted = receive_->add(id, into);
        receive_->ring();
        return posted;
    }

    [[nodiscard]] std::uint32_t max_inline_write() const noexcept
    {
        return send_->max_inline_write();
    }
    [[nodiscard]] std::uint32_t max_inline_send() const noexcept
    {
        return send_->max_inline_send();
    }
    /// Requests that can be posted now, and at most.
    [[nodiscard]] std::uint32_t send_room() const noexcept { return send_->room(); }
    [[nodiscard]] std::uint32_t send_entries() const noexcept { return send_->entries(); }
    [[nodiscard]] std::uint32_t receive_room() const noexcept
    {
        return receive_ ? receive_->room() : 0;
    }

    struct State; ///< for the objects of this library
    [[nodiscard]] const std::shared_ptr<State>& state() const noexcept { return state_; }

private:
    Posted rung(Posted posted) noexcept
    {
        send_->ring();
        return posted;
    }

    std::shared_ptr<State> state_;
    EfaSendQueue* send_;       // of the state
    EfaReceiveQueue* receive_; // of the state, or none
    std::uint32_t key_;
    std::uint16_t number_ = 0;
};

} // namespace p2prdma::direct
