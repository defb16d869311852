// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/mac_address.hpp"

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

/// The frames of RDMA over Ethernet without a network layer. All numbers are big-endian. Specified
/// in Documentation/l2-wire.rst.
///
///     Ethernet (14, with a tag 18) | header (16) | extensions, in the order of their bits |
///     payload | seal (24, if sealed) | CRC32C (4) of header to seal
namespace p2prdma::l2::wire {

constexpr std::uint8_t version = 1;
constexpr std::size_t header_size = 16;
constexpr std::size_t crc_size = 4;
constexpr std::size_t seal_size = 24;
constexpr std::uint32_t psn_mask = 0xffffff;
constexpr unsigned sack_bits = 256;

/// Frames from `send` to `atomic_response` are sequenced: they have a PSN of their direction's, are
/// acknowledged, and sent again when lost. All others are not, and their psn is 0 unless said.
enum class Opcode : std::uint8_t {
    send = 0x00,
    write = 0x01,
    read_request = 0x02,
    read_response = 0x03,
    fetch_add = 0x04,
    compare_swap = 0x05,
    atomic_response = 0x06,

    ack = 0x10,   ///< acknowledgement; also the answer to probe and keep_alive
    nak = 0x11,   ///< refusal of the frame whose number is `psn`; acknowledges all before it
    probe = 0x12, ///< asks for an ack at once; psn: the first that is not acknowledged

    connect_request = 0x20,
    connect_reply = 0x21,
    ready_to_use = 0x22,
    reject = 0x23,
    disconnect_request = 0x24,
    disconnect_reply = 0x25,

    discover = 0x30, ///< to the broadcast address, or to one
    offer = 0x31,
    keep_alive = 0x32,
};

enum Flag : std::uint8_t {
    first = 0x01,       ///< of a message
    last = 0x02,        ///< of a message
    solicited = 0x04,   ///< with last: wakes who waits for solicited completions
    ack_request = 0x08, ///< acknowledge at once
    congested = 0x10,   ///< in an ack: the receiver's buffers fill
    again = 0x40,       ///< sent before
    sealed = 0x80,      ///< a seal precedes the CRC
};

/// What of the extensions is there.
enum Extension : std::uint8_t {
    ext_remote = 0x01,    ///< 16: address 64, key 32, length 32 (of the message)
    ext_atomic = 0x02,    ///< 16: operand 64, compare 64 (ignored but in compare_swap); in a
                          ///< response operand is what was there
    ext_immediate = 0x04, ///< 4; with Flag::last only
    ext_ack = 0x08,       ///< 8: next psn expected 24, syndrome 8, messages done 24, 0 8
    ext_sack = 0x10,      ///< 32: bit i (of byte i / 8, least first): next + 1 + i has come
    ext_fault = 0x20,   ///< 20: kind 8, epoch 8, 0 16 | 0 8, psn 24 | estimate | buffered | window
    ext_connect = 0x40, ///< 64, see Connect
};

/// In ext_ack of a nak; 0 in all other frames.
enum class Syndrome : std::uint8_t {
    none = 0,
    receiver_not_ready =
        1,         ///< with ext_fault: estimate = wait so long, then send from psn on again
    access = 2,    ///< key, range or kind of access
    invalid = 3,   ///< malformed, or an atomic that is not aligned
    operation = 4, ///< the receiver failed
    fault = 5,     ///< the page cannot be had
    full = 6,      ///< no room for another connection
    no_link = 7,   ///< no such connection here: dst_qp, src_tag, psn are the frame's
};

enum class FaultKind : std::uint8_t {
    delay = 1,  ///< received, page fault, wait `estimate`: nothing need be sent again
    resume = 2, ///< go on with psn
    abort = 3,  ///< it cannot be resolved; a nak with Syndrome::fault says the same
    stall = 4,  ///< the sender of this waits for a page of its own before it can send psn
};

struct Header {
    std::uint8_t version = wire::version;
    std::uint8_t traffic_class = 0; ///< 4 bits
    Opcode opcode = Opcode::send;
    std::uint8_t flags = 0;
    std::uint8_t credits = 0; ///< receives posted and not yet used by frames that were processed,
                              ///< at most 255
    std::uint32_t dst_qp = 0; ///< 24 bits; 0 where there is none yet
    std::uint8_t epoch = 0;   ///< the destination's, from its connect frame; 0 where unknown
    std::uint32_t psn = 0;    ///< 24 bits
    std::uint8_t extensions = 0;
    std::uint16_t payload_length = 0;
    std::uint16_t src_tag = 0; ///< a random number that the destination gave for this connection
};

struct Remote {
    std::uint64_t address = 0;
    std::uint32_t key = 0;
    std::uint32_t length = 0;
};

struct Atomic {
    std::uint64_t operand = 0;
    std::uint64_t compare = 0;
};

struct Ack {
    std::uint32_t next = 0; ///< the first psn that was not yet processed
    Syndrome syndrome = Syndrome::none;
    std::uint32_t messages = 0; ///< processed since the connection began, modulo 2^24
};

using Sack = std::bitset<sack_bits>;

struct Fault {
    FaultKind kind = FaultKind::delay;
    std::uint8_t epoch = 0;     ///< counts the faults of this direction
    std::uint32_t psn = 0;      ///< of the frame that waits for the page
    std::uint32_t estimate = 0; ///< microseconds
    std::uint32_t buffered = 0; ///< bytes held meanwhile
    std::uint32_t window = 0;   ///< bytes that may be sent meanwhile
};

/// The body of connect_request, connect_reply, reject, discover and offer.
/// 64 bytes: qp 24 | epoch 8, tag 16 | frame_limit 16, psn 24 | max_reads 8, service 32,
/// features 32, reason 32, 0 32, nonce 16 bytes, 0 20 bytes. Private data, or a name, are the
/// payload.
struct Connect {
    std::uint32_t qp = 0;            ///< of the frame's sender
    std::uint8_t epoch = 0;          ///< of the frame's sender, not 0
    std::uint16_t tag = 0;           ///< that frames to the sender of this must carry
    std::uint16_t payload_limit = 0; ///< bytes of payload that its sender takes in one frame
    std::uint32_t psn = 0;           ///< of the first sequenced frame that its sender will send
    std::uint8_t max_reads = 0;
    std::uint32_t service = 0;
    std::uint32_t features = 0; ///< mask of Feature; a reply has those agreed on
    std::uint32_t reason = 0;   ///< reject: why
    std::array<std::uint8_t, 16> nonce = {};
};

enum Feature : std::uint32_t {
    feature_fault_delay = 1,
    feature_sealed = 2,
};

/// A frame, taken apart. The spans point into the frame.
struct Frame {
    MacAddress destination;
    MacAddress source;
    std::optional<std::uint16_t> vlan; ///< as it stands in the frame
    Header header;
    std::optional<Remote> remote;
    std::optional<Atomic> atomic;
    std::optional<std::uint32_t> immediate;
    std::optional<Ack> ack;
    std::optional<Sack> sack;
    std::optional<Fault> fault;
    std::optional<Connect> connect;
    std::span<const std::byte> payload;
    std::span<const std::byte> sealed_part; ///< header to payload, if sealed
    std::span<const std::byte> seal;        ///< if sealed
};

enum class Verdict : std::uint8_t {
    good,
    too_short,
    wrong_type, ///< another EtherType or VLAN
    wrong_version,
    bad_opcode,
    bad_extensions, ///< some that the opcode does not have, or lacks
    bad_length,     ///< payload_length beyond the frame
    bad_crc,
    bad_field, ///< a flag, number or reserved field that has no meaning in such a frame
};

/// Takes a frame apart; trusts nothing in it, reads it once. A tag that was left in the frame is
/// skipped.
[[nodiscard]] Verdict parse(std::span<const std::byte> bytes, std::uint16_t ether_type,
                            Frame& frame) noexcept;

/// Where a frame seems to go, unchecked: its dst_qp; 0: it is too short.
[[nodiscard]] std::uint32_t peek_dst_qp(std::span<const std::byte> bytes) noexcept;

/// Writes everything before the payload, Ethernet header included, and returns its size: at most
/// max_prefix. The fields of `frame` say what; payload_length and extensions are set from it. What
/// follows is the caller's: payload, seal, and the CRC, big-endian.
/// \param payload_length  at most 65535
constexpr std::size_t max_prefix = 18 + header_size + 16 + 16 + 4 + 8 + 32 + 20 + 64;
std::size_t compose(const Frame& frame, std::size_t payload_length, std::uint16_t ether_type,
                    std::span<std::byte, max_prefix> out) noexcept;

[[nodiscard]] constexpr std::uint32_t next_psn(std::uint32_t psn, std::uint32_t by = 1) noexcept
{
    return (psn + by) & psn_mask;
}
/// How far `to` is ahead of `from`: -2^23 to 2^23 - 1.
[[nodiscard]] constexpr std::int32_t psn_distance(std::uint32_t from, std::uint32_t to) noexcept
{
    const auto ahead = (to - from) & psn_mask;
    return ahead < 0x800000 ? static_cast<std::int32_t>(ahead)
                            : static_cast<std::int32_t>(ahead) - 0x1000000;
}

} // namespace p2prdma::l2::wire
