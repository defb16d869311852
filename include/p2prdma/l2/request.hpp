// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma::l2 {

/// What a work request does, and what a completion was of.
enum class Operation : std::uint8_t {
    send,         ///< into memory that the peer posted by post_receive()
    write,        ///< into memory that the peer registered; with an immediate, also takes a receive
    read,         ///< from memory that the peer registered
    fetch_add,    ///< adds to 8 bytes of the peer's, aligned by 8; returns what was there
    compare_swap, ///< replaces 8 bytes of the peer's if they are as expected; returns what was
                  ///< there
    receive,      ///< only of completions: a send, or a write with an immediate, has come
};

/// How a work request ended. As in verbs, a queue pair is in error after the first that is not
/// success, and what was posted behind it is flushed.
enum class Status : std::uint8_t {
    success,
    local_length,     ///< a message was longer than the memory posted for it
    local_protection, ///< local memory is not in the region, or the region does not allow this
    local_fault,      ///< a page of local memory cannot be had: unmapped, or not resolved in time
    remote_access,    ///< the peer does not allow it: key, range or kind of access
    remote_invalid,   ///< the peer cannot carry it out: an atomic that is not aligned, for example
    remote_fault,     ///< a page of the peer's memory cannot be had, or not in time
    remote_operation, ///< the peer failed otherwise, such as for memory of its own
    retry_exceeded,   ///< the peer does not answer, or its link is down
    rnr_retry_exceeded, ///< the peer had no receive posted, for longer than was allowed
    peer_gone,          ///< the peer restarted, or no longer knows this connection
    flushed,            ///< the queue pair was in error or closed before it was carried out
};

[[nodiscard]] P2PRDMA_API const char* to_string(Status status) noexcept;
[[nodiscard]] P2PRDMA_API const char* to_string(Operation operation) noexcept;

/// A piece of local memory, in a region of the same protection domain.
struct Segment {
    void* address = nullptr;
    std::uint32_t length = 0; ///< bytes
    std::uint32_t key = 0;    ///< Region::key()
};

/// Memory of the peer's, in a region of its protection domain.
struct RemoteMemory {
    std::uint64_t address = 0;
    std::uint32_t key = 0; ///< the peer's Region::key()
};

constexpr std::size_t max_segments = 4;
constexpr std::size_t max_inline = 128;           ///< bytes
constexpr std::uint32_t max_message = 0x80000000; ///< bytes

/// A work request for the send queue. Copied when posted; the memory that it names stays untouched
/// until its completion, but for inline data, which is copied.
struct SendRequest {
    std::uint64_t id = 0; ///< returned in the completion
    Operation operation = Operation::send;
    std::span<const Segment> segments = {}; ///< at most max_segments, max_message bytes in all; one
                                            ///< of 8 bytes for atomics: where the old value goes
    RemoteMemory remote = {};               ///< write, read, atomics
    std::uint64_t operand = 0;              ///< fetch_add: added; compare_swap: the new value
    std::uint64_t compare = 0;              ///< compare_swap
    std::uint32_t immediate = 0;            ///< send and write, if has_immediate
    bool has_immediate = false;
    bool inline_data = false; ///< send and write of at most max_inline bytes; needs no key
    bool signalled = true;    ///< a completion also on success
    bool solicited = false;   ///< wakes a peer that waits for solicited completions only
    bool fence = false;       ///< starts after all reads and atomics before it have ended
};

/// Where a message that comes is placed: QueuePair::post_receive().
struct ReceiveRequest {
    std::uint64_t id = 0;
    std::span<const Segment> segments = {}; ///< at most max_segments
};

/// The end of a work request.
///
/// Success means: for send and write that the peer has all data in its memory and has acknowledged
/// that; for read and atomics that the data are in local memory; for receive that they are and that
/// all before them on this queue pair are too.
struct Completion {
    std::uint64_t id = 0;
    Status status = Status::success;
    Operation operation = Operation::send;
    bool has_immediate = false;
    std::uint32_t length = 0; ///< bytes received, read, or returned by an atomic
    std::uint32_t immediate = 0;
    std::uint32_t queue_pair = 0; ///< QueuePair::number()
};

} // namespace p2prdma::l2
