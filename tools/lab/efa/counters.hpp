// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>

namespace lab::efa {

/// What an adapter did since its counters were reset.
struct Counters {
    // The network side, packets between adapters
    std::uint64_t tx_bytes = 0; ///< payload
    std::uint64_t tx_packets = 0;
    std::uint64_t rx_bytes = 0;
    std::uint64_t rx_packets = 0;
    std::uint64_t rx_drops = 0;        ///< UD messages that found no receive buffer
    std::uint64_t qkey_violations = 0; ///< messages with a wrong queue key

    // Work requests, by whom they were posted; bytes count when they have completed without error
    std::uint64_t send_requests = 0;
    std::uint64_t send_bytes = 0;
    std::uint64_t receive_requests = 0; ///< receives that were completed by a message
    std::uint64_t receive_bytes = 0;
    std::uint64_t read_requests = 0;
    std::uint64_t read_bytes = 0;
    std::uint64_t read_errors = 0;
    std::uint64_t read_response_bytes = 0; ///< read from this adapter by others
    std::uint64_t write_requests = 0;
    std::uint64_t write_bytes = 0;
    std::uint64_t write_errors = 0;
    std::uint64_t write_receive_bytes = 0; ///< written to this adapter by others

    // The host side
    std::uint64_t admin_commands = 0;
    std::uint64_t admin_errors = 0;
    std::uint64_t doorbells = 0;
    std::uint64_t bad_doorbells = 0; ///< writes to a place of the doorbell BAR that is no doorbell
    std::uint64_t completions = 0;
    std::uint64_t error_completions = 0;
    std::uint64_t events = 0;
    std::uint64_t rnr = 0; ///< requests that had to wait at their destination for a receive buffer
    std::uint64_t unresponsive = 0; ///< requests to an adapter that is not there
    std::uint64_t phase_errors = 0; ///< doorbells that announced a work request not yet written
};

} // namespace lab::efa
