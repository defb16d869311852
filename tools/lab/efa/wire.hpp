// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/io_layout.hpp"
#include "tools/lab/fabric.hpp"

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace lab::efa {

enum class PacketKind : std::uint8_t {
    send,         ///< a whole message
    write,        ///< a piece of an RDMA write
    write_notify, ///< a write with immediate data has been written: tell the owner
    read,         ///< asks for a piece of an RDMA read
    cancel,       ///< gives up a message that waits for a receive buffer
    reply,        ///< how a request ended
    read_reply,   ///< the same, with the bytes that were read
    rnr_notice,   ///< the message waits for a receive buffer; a reply follows
};

/// The transport's header. Each request of a reliable queue pair gets exactly one reply; those of
/// an unreliable one get none.
struct PacketHeader {
    static constexpr std::uint8_t has_imm = 1u << 0;
    static constexpr std::uint8_t reliable = 1u << 1;

    PacketKind kind;
    CompletionStatus status; ///< replies
    std::uint8_t flags;
    std::uint8_t reserved;
    std::uint16_t source_qp;
    std::uint16_t destination_qp;
    std::uint32_t message; ///< the requester's name for its work request
    std::uint32_t qkey;
    std::uint32_t immediate;
    std::uint32_t rkey;
    std::uint64_t address; ///< of the whole remote range
    std::uint32_t total;   ///< bytes of the whole message
    std::uint32_t offset;  ///< of this piece in the message
    std::uint32_t length;  ///< of this piece
    std::uint32_t reserved2;
};
static_assert(sizeof(PacketHeader) == 48 && std::is_trivially_copyable_v<PacketHeader>);

inline PacketHeader get_header(const Packet& packet)
{
    PacketHeader header{};
    std::memcpy(&header, packet.header.data(), sizeof(header));
    return header;
}

inline void set_header(Packet& packet, const PacketHeader& header)
{
    std::memcpy(packet.header.data(), &header, sizeof(header));
}

/// Requests want an answer, everything else is one.
inline bool is_request(PacketKind kind)
{
    return kind < PacketKind::reply;
}

} // namespace lab::efa
