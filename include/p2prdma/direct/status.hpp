// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <cstdint>
#include <string_view>

/// RDMA driven from the CPU that runs this code, without kernel or host: see
/// Documentation/direct.rst.
namespace p2prdma::direct {

/// What became of a posted request.
enum class Status : std::uint8_t {
    ok,
    flushed,               ///< not executed: the queue pair went into its error state
    queue_pair_error,      ///< the adapter could not make sense of the request, or not reach memory
    unsupported,           ///< the adapter or this kind of queue pair does not do that
    bad_address_handle,    ///< the address handle does not exist
    bad_local_key,         ///< local memory: unknown key, outside the region, or not allowed
    bad_length,            ///< longer than the adapter's limit
    remote_bad_address,    ///< remote memory: unknown key, outside the region, or not allowed
    remote_abort,          ///< the peer gave the connection up
    remote_bad_queue_pair, ///< the peer has no such queue pair, or not in working state
    remote_not_ready,      ///< the peer has no receive posted
    remote_bad_length,     ///< longer than the peer's receive
    remote_bad_status,     ///< the peer's adapter answered nonsense
    unresponsive,          ///< the peer no longer answers
    remote_unknown_peer,   ///< the peer has no address handle of this side
    unreachable,           ///< the peer never answered
    remote_feature_mismatch, ///< the peer's adapter lacks a feature
    unknown,                 ///< a status that this library does not know
};

/// A clause that says what happened: "remote memory: unknown key, ...". Never fails.
[[nodiscard]] P2PRDMA_API std::string_view to_string(Status status) noexcept;

} // namespace p2prdma::direct
