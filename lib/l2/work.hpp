// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/completion_ring.hpp"
#include "lib/l2/memory_access.hpp"
#include "lib/l2/outbox.hpp"
#include "lib/l2/receive_window.hpp"
#include "lib/l2/work_ring.hpp"
#include "p2prdma/l2/request.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// What requester and responder of a queue pair have in common.
namespace p2prdma::l2 {

/// Up to max_segments segments, or inline data instead.
struct WorkMemory {
    std::array<Segment, max_segments> segments;
    std::array<std::byte, max_inline> inline_data;
    std::uint8_t count = 0; ///< segments
    bool is_inline = false;
    std::uint32_t length = 0; ///< bytes in all

    [[nodiscard]] std::span<const Segment> pieces() const noexcept
    {
        return std::span(segments).first(count);
    }
};

/// How far a message has been cut into frames.
struct Segmentation {
    std::uint32_t frames = 0; ///< 0: not begun
    std::uint32_t sent = 0;   ///< frames that have a psn
    std::uint32_t payload = 0;
    std::uint32_t first_psn = 0, last_psn = 0; ///< of the first, and of the last that was sent

    void begin(std::uint32_t length, std::uint32_t limit) noexcept
    {
        payload = limit;
        frames = length == 0 ? 1 : (length - 1) / limit + 1;
        sent = 0;
    }
    [[nodiscard]] bool all_sent() const noexcept { return frames != 0 && sent == frames; }
    void sent_one(std::uint32_t psn) noexcept
    {
        if (sent++ == 0)
            first_psn = psn;
        last_psn = psn;
    }
    [[nodiscard]] std::uint32_t offset(std::uint32_t frame) const noexcept
    {
        return frame * payload;
    }
    [[nodiscard]] std::uint32_t size(std::uint32_t frame, std::uint32_t length) const noexcept
    {
        return std::min(payload, length - offset(frame));
    }
    [[nodiscard]] std::uint8_t flags(std::uint32_t frame) const noexcept
    {
        const unsigned begins = frame == 0 ? unsigned{wire::first} : 0;
        const unsigned ends = frame + 1 == frames ? unsigned{wire::last} : 0;
        return static_cast<std::uint8_t>(begins | ends);
    }
    /// `unacknowledged`: the first psn that the peer has not processed.
    [[nodiscard]] bool acknowledged(std::uint32_t unacknowledged) const noexcept
    {
        return all_sent() && wire::psn_distance(last_psn, unacknowledged) > 0;
    }
};

struct SendWork {
    std::uint64_t id = 0;
    std::uint64_t operand = 0, compare = 0;
    RemoteMemory remote;
    std::uint32_t immediate = 0;
    Operation operation = Operation::send;
    bool has_immediate = false, signalled = true, solicited = false, fence = false;
    bool limited = false; ///< no receive is known to be posted: one frame, until it is acknowledged
    bool acknowledged = false;
    bool begun = false, placed = false; ///< of a response: the first frame of it, and all of it
    std::uint32_t received = 0;         ///< of a read: bytes placed
    Segmentation cut;
    WorkMemory memory;

    [[nodiscard]] bool is_atomic() const noexcept
    {
        return operation == Operation::fetch_add || operation == Operation::compare_swap;
    }
    [[nodiscard]] bool has_response() const noexcept
    {
        return operation == Operation::read || is_atomic();
    }
    [[nodiscard]] bool takes_receive() const noexcept
    {
        return operation == Operation::send || (operation == Operation::write && has_immediate);
    }
    [[nodiscard]] bool done() const noexcept { return acknowledged && (placed || !has_response()); }
};

struct ReceiveWork {
    std::uint64_t id = 0;
    std::array<Segment, max_segments> segments;
    std::uint8_t count = 0;
    std::uint64_t length = 0; ///< bytes in all

    [[nodiscard]] std::span<const Segment> pieces() const noexcept
    {
        return std::span(segments).first(count);
    }
};

/// An answer to a read or an atomic, until the peer has it.
struct Response {
    wire::Opcode opcode = wire::Opcode::read_response;
    std::uint32_t request_psn = 0;
    Segment memory = {};
    std::uint64_t value = 0;
    Segmentation cut = {};
};

using SendRing = WorkRing<SendWork, 4>;
using ReceiveRing = WorkRing<ReceiveWork, 8>;
using ResponseRing = WorkRing<Response, 8>;

/// A new last entry of a queue, whose end has room there; nullptr: there is none, or none in the
/// queue.
template <class Ring>
[[nodiscard]] auto push_with_room(Ring& ring, CompletionRing* completions) noexcept
{
    if (completions == nullptr)
        return ring.push();
    auto* const work = completions->has_room() ? ring.push() : nullptr;
    if (work != nullptr)
        completions->reserve();
    return work;
}

/// What came of a frame that was the next in order.
struct Outcome {
    enum class Kind : std::uint8_t {
        done,
        missing,   ///< memory is not there yet
        not_ready, ///< no receive is posted
        refused,
    };
    Kind kind = Kind::done;
    bool message_ends = false;
    wire::Syndrome syndrome = wire::Syndrome::none;
    Missing missing = {};

    [[nodiscard]] static Outcome done(bool message_ends) noexcept
    {
        return {.kind = Kind::done, .message_ends = message_ends};
    }
    [[nodiscard]] static Outcome refused(wire::Syndrome syndrome) noexcept
    {
        return {.kind = Kind::refused, .syndrome = syndrome};
    }
    [[nodiscard]] static Outcome not_ready() noexcept { return {.kind = Kind::not_ready}; }
    [[nodiscard]] static Outcome needs(const Missing& missing) noexcept
    {
        return {.kind = Kind::missing, .missing = missing};
    }
};

/// A frame that is about to be sent.
struct Draft {
    wire::Frame head;
    Payload payload;
    Missing missing = {};
};

} // namespace p2prdma::l2
