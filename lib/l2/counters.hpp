// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/device.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace p2prdma::l2 {

/// What an engine counts. Each reason for which a frame is dropped has one of its own.
enum class Counter : std::uint8_t {
    frames_sent,
    frames_received,
    bytes_sent,
    bytes_received,
    too_short, ///< from here to bad_field: as wire::Verdict
    wrong_type,
    wrong_version,
    bad_opcode,
    bad_extensions,
    bad_length,
    bad_crc,
    bad_field,
    unknown_queue_pair,
    wrong_source,
    wrong_tag,
    stale_epoch,
    not_sealed,
    bad_seal,
    replayed,
    wrong_phase, ///< such as data on a connection that is not established
    duplicates,
    no_room,
    bad_acknowledgement,
    bad_connect,
    no_link_sent,
    no_link_received,
    connects,
    connects_refused,
    unproven_rejects, ///< that say without a seal that one end lacks the secret
    peers_lost,
    retransmitted,
    timeouts,
    tail_probes,
    fault_delays,
    fault_probes,
    faults, ///< that this end had, placing or gathering
    fault_aborts,
    receiver_not_ready,
    refused, ///< requests of peers: key, range, access or form
    unsent,  ///< frames that the port did not take, and that waited
    count,   // goes last
};

/// The name that Device::statistics() gives it.
[[nodiscard]] const char* to_string(Counter counter) noexcept;

/// Thread-safety: the engine's.
class Counters {
public:
    void add(Counter counter, std::uint64_t by = 1) noexcept
    {
        values_[static_cast<std::size_t>(counter)] += by;
    }
    [[nodiscard]] std::uint64_t operator[](Counter counter) const noexcept
    {
        return values_[static_cast<std::size_t>(counter)];
    }
    [[nodiscard]] Statistics all() const;

private:
    std::array<std::uint64_t, static_cast<std::size_t>(Counter::count)> values_ = {};
};

} // namespace p2prdma::l2
