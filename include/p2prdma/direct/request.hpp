// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/status.hpp"

#include <cstdint>
#include <limits>

namespace p2prdma::direct {

/// A queue pair of the other side.
struct Peer {
    std::uint16_t address_handle = 0; ///< of this side's adapter: AddressHandle::number()
    std::uint16_t queue_pair = 0;     ///< the other side's QueuePair::number()
    std::uint32_t queue_key = 0;      ///< the other side's QueuePair::key()
};

/// A range of a region of this side.
struct LocalBuffer {
    std::uint64_t address = 0;
    std::uint32_t length = 0; ///< bytes
    std::uint32_t key = 0;    ///< the region's local key
};

/// A place in a region of the other side; the length is the local buffer's.
struct RemotePlace {
    std::uint64_t address = 0;
    std::uint32_t key = 0; ///< the region's remote key
};

/// Whether a request's success is reported. Failure is always.
enum class Signal : std::uint8_t {
    no,
    yes,
};

/// Whether a request was taken; if not, nothing was written.
enum class Posted : std::uint8_t {
    ok,
    full,        ///< try again after poll() has reported a completion
    bad_length,  ///< inline data or a receive buffer longer than a request can hold
    unsupported, ///< the queue pair was not made for it
};

/// The id with which the failure of a request without Signal is reported: it has none of its own.
inline constexpr std::uint64_t unsignalled_id = std::numeric_limits<std::uint64_t>::max();

enum class Operation : std::uint8_t { send, read, write };

/// The end of a request, as poll() reports it.
struct Completion {
    std::uint64_t id = 0; ///< as posted, or unsignalled_id
    Status status = Status::ok;
    Operation operation = Operation::send; ///< of a receive: what the sender did
    bool is_receive = false;
    bool has_immediate = false;   ///< of a receive, as are the following
    std::uint32_t immediate = 0;  ///< valid if has_immediate
    std::uint32_t length = 0;     ///< bytes that came
    std::uint16_t peer = 0;       ///< the sender's queue pair
    std::uint16_t queue_pair = 0; ///< of this side; of any completion
};

} // namespace p2prdma::direct
