// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/wire.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

/// Which flags, extensions and fields each opcode may have: the one table of it. parse() goes by
/// it, and so do the tests, the fuzzers, and the tables of Documentation/l2-wire.rst.
namespace p2prdma::l2::wire {

/// Bytes of each extension, in the order of their bits.
constexpr std::array<std::uint8_t, 7> extension_sizes = {16, 16, 4, 8, 32, 20, 64};

struct Rule {
    Opcode opcode;
    std::uint8_t flags;      ///< that it may have
    std::uint8_t required;   ///< extensions
    std::uint8_t with_first; ///< extensions required with Flag::first, and not allowed without
    std::uint8_t with_last;  ///< extensions allowed with Flag::last only
    std::uint8_t optional;   ///< extensions
    bool payload;            ///< may have one
    bool psn;                ///< uses Header::psn; else it is 0
};

constexpr std::uint8_t data_flags = first | last | ack_request | again | sealed;
constexpr std::uint8_t message_flags = data_flags | solicited;
constexpr std::uint8_t report_flags = congested | sealed;
constexpr std::uint8_t connect_flags = again | sealed;
constexpr std::uint8_t report_extensions = ext_sack | ext_fault;
constexpr std::uint8_t atomic_extensions = ext_remote | ext_atomic;

// clang-format off
constexpr std::array rules = std::to_array<Rule>({
    // opcode, flags, required, with first, with last, optional, payload, psn
    {Opcode::send, message_flags, 0, 0, ext_immediate, ext_ack, true, true},
    {Opcode::write, message_flags, 0, ext_remote, ext_immediate, ext_ack, true, true},
    {Opcode::read_request, data_flags, ext_remote, 0, 0, ext_ack, false, true},
    {Opcode::read_response, data_flags, 0, 0, 0, ext_ack, true, true},
    {Opcode::fetch_add, data_flags, atomic_extensions, 0, 0, ext_ack, false, true},
    {Opcode::compare_swap, data_flags, atomic_extensions, 0, 0, ext_ack, false, true},
    {Opcode::atomic_response, data_flags, ext_atomic, 0, 0, ext_ack, false, true},
    {Opcode::ack, report_flags, ext_ack, 0, 0, report_extensions, false, false},
    {Opcode::nak, report_flags, ext_ack, 0, 0, report_extensions, false, true},
    {Opcode::probe, sealed, 0, 0, 0, ext_ack, false, true},
    {Opcode::connect_request, connect_flags, ext_connect, 0, 0, 0, true, false},
    {Opcode::connect_reply, connect_flags, ext_connect, 0, 0, 0, true, false},
    {Opcode::ready_to_use, connect_flags, 0, 0, 0, 0, false, false},
    {Opcode::reject, connect_flags, ext_connect, 0, 0, 0, true, false},
    {Opcode::disconnect_request, connect_flags, 0, 0, 0, 0, false, false},
    {Opcode::disconnect_reply, connect_flags, 0, 0, 0, 0, false, false},
    {Opcode::discover, connect_flags, ext_connect, 0, 0, 0, true, false},
    {Opcode::offer, connect_flags, ext_connect, 0, 0, 0, true, false},
    {Opcode::keep_alive, sealed, 0, 0, 0, ext_ack, false, false},
});
// clang-format on

/// Of send to atomic_response: see Opcode.
[[nodiscard]] constexpr bool is_sequenced(Opcode opcode) noexcept
{
    return opcode <= Opcode::atomic_response;
}

} // namespace p2prdma::l2::wire
