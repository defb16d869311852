// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/counters.hpp"

namespace p2prdma::l2 {
namespace {

constexpr std::array<const char*, static_cast<std::size_t>(Counter::count)> names = {
    "frames_sent",
    "frames_received",
    "bytes_sent",
    "bytes_received",
    "too_short",
    "wrong_type",
    "wrong_version",
    "bad_opcode",
    "bad_extensions",
    "bad_length",
    "bad_icrc",
    "bad_field",
    "unknown_queue_pair",
    "wrong_source",
    "wrong_tag",
    "stale_epoch",
    "not_sealed",
    "bad_seal",
    "replayed",
    "wrong_phase",
    "duplicates",
    "no_room",
    "bad_acknowledgement",
    "bad_connect",
    "no_link_sent",
    "no_link_received",
    "connects",
    "connects_refused",
    "unproven_rejects",
    "peers_lost",
    "retransmitted",
    "timeouts",
    "tail_probes",
    "fault_delays",
    "fault_probes",
    "faults",
    "fault_aborts",
    "receiver_not_ready",
    "refused",
    "unsent",
};
static_assert(names.back() != nullptr, "each counter has a name");

} // namespace

const char* to_string(Counter counter) noexcept
{
    return names[static_cast<std::size_t>(counter)];
}

Statistics Counters::all() const
{
    Statistics result;
    for (std::size_t i = 0; i < names.size(); ++i)
        result.emplace_back(names[i], values_[i]);
    return result;
}

} // namespace p2prdma::l2
