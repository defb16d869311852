// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/io_layout.hpp"
#include "tools/lab/fabric.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace lab::efa {

/// A send queue element, taken apart, and how far its execution got.
struct WorkRequest {
    static constexpr std::size_t max_inline = 80;

    std::uint16_t req_id = 0;
    Opcode opcode = Opcode::send;
    bool comp_req = false;
    bool has_imm = false;
    bool is_inline = false;
    std::uint16_t ah = 0;
    std::uint16_t destination_qp = 0;
    std::uint32_t qkey = 0;
    std::uint32_t immediate = 0;
    RemoteAddress remote{};
    std::array<SendBuffer, 2> buffers{};
    unsigned buffer_count = 0;
    std::array<std::byte, max_inline> inline_data{};
    std::uint32_t length = 0; ///< bytes of the whole message

    Gid destination{};
    std::uint32_t sent = 0;   ///< bytes requested of the destination
    unsigned outstanding = 0; ///< packets without reply
    bool notified = false;    ///< the write's immediate data is on its way
    bool held = false;        ///< waits at its destination for a receive buffer
};

/// Takes a 64- or 128-byte element apart. `phase` is what its phase bit must be.
///
/// @returns ok; qp_internal_error if it is no element at all, of which only req_id means
/// something; else the error with which the request is to be completed.
CompletionStatus parse_element(std::span<const std::byte> element, bool phase,
                               WorkRequest& request);

} // namespace lab::efa
