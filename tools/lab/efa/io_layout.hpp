// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

/// The data path's descriptors: work queue elements, completion and event queue elements, as the
/// driver, libefa and the adapter share them. Little-endian.
namespace lab::efa {

static_assert(std::endian::native == std::endian::little,
              "descriptors are copied as they are: the lab runs on little-endian machines");

/// What became of a work request, as a completion reports it.
enum class CompletionStatus : std::uint8_t {
    ok = 0,
    flushed = 1,
    qp_internal_error = 2,
    unsupported_op = 3,
    invalid_ah = 4,
    invalid_lkey = 5,
    bad_length = 6,
    remote_bad_address = 7,
    remote_abort = 8,
    remote_bad_dest_qpn = 9,
    remote_rnr = 10,
    remote_bad_length = 11,
    remote_bad_status = 12,
    unresponsive_remote = 13,
    remote_unknown_peer = 14,
    unreachable_remote = 15,
};

enum class QueueType : std::uint8_t { send = 1, receive = 2 };

enum class Opcode : std::uint8_t { send = 0, rdma_read = 1, rdma_write = 2 };

inline constexpr std::uint32_t key24_mask = 0xffffff; ///< local keys have 24 bits in descriptors

#pragma pack(push, 1)

/// First half of a send queue element.
struct SendMeta {
    static constexpr std::uint8_t ctrl1_opcode_mask = 0x0f;
    static constexpr std::uint8_t ctrl1_has_imm = 1u << 4;
    static constexpr std::uint8_t ctrl1_inline = 1u << 5;
    static constexpr std::uint8_t ctrl1_meta_desc = 1u << 7;
    static constexpr std::uint8_t ctrl2_phase = 1u << 0;
    static constexpr std::uint8_t ctrl2_first = 1u << 2;
    static constexpr std::uint8_t ctrl2_last = 1u << 3;
    static constexpr std::uint8_t ctrl2_comp_req = 1u << 4;

    std::uint16_t req_id;
    std::uint8_t ctrl1;
    std::uint8_t ctrl2;
    std::uint16_t dest_qp_num;
    std::uint16_t length; ///< inline: bytes; else: number of buffers
    std::uint32_t immediate;
    std::uint16_t ah;
    std::uint8_t ctrl3;
    std::uint8_t reserved;
    std::uint32_t qkey;
    std::array<std::uint8_t, 12> reserved2;
};
static_assert(sizeof(SendMeta) == 32);

struct SendBuffer {
    std::uint32_t length;
    std::uint32_t lkey;
    std::uint64_t address;
};
static_assert(sizeof(SendBuffer) == 16);

struct RemoteAddress {
    std::uint32_t length;
    std::uint32_t rkey;
    std::uint64_t address;
};
static_assert(sizeof(RemoteAddress) == 16);

/// A receive buffer; a receive work request is one or more of them, from `first` to `last`.
struct ReceiveDescriptor {
    static constexpr std::uint32_t first = 1u << 30;
    static constexpr std::uint32_t last = 1u << 31;

    std::uint64_t address;
    std::uint16_t req_id;
    std::uint16_t length;
    std::uint32_t lkey_ctrl;
};
static_assert(sizeof(ReceiveDescriptor) == 16);

/// Common head of all completions.
struct CompletionHead {
    static constexpr std::uint8_t phase = 1u << 0;
    static constexpr unsigned queue_type_shift = 1;
    static constexpr std::uint8_t has_imm = 1u << 3;
    static constexpr unsigned opcode_shift = 4;
    static constexpr std::uint8_t unsolicited = 1u << 7;

    std::uint16_t req_id;
    CompletionStatus status;
    std::uint8_t flags;
    std::uint16_t qp_num;
};
static_assert(sizeof(CompletionHead) == 6);

/// A completion, send or receive. Queues of 16-byte entries carry the first half only.
struct Completion {
    CompletionHead head;
    std::uint16_t length; ///< receive: low 16 bits
    std::uint16_t ah;     ///< receive: local handle of the sender, or unknown_ah
    std::uint16_t source_qp;
    std::uint32_t immediate;
    std::array<std::uint8_t, 16> extension; ///< length's high 16 bits, or the sender's GID
};
static_assert(sizeof(Completion) == 32);

/// An event queue element: a completion event.
struct EventEntry {
    static constexpr std::uint32_t phase = 1;

    std::uint32_t common; ///< phase, event type (0: completion)
    std::uint32_t reserved;
    std::uint16_t cqn;
    std::uint16_t reserved2;
    std::uint32_t reserved3;
};
static_assert(sizeof(EventEntry) == 16);

#pragma pack(pop)

inline constexpr std::uint16_t unknown_ah = 0xffff;

/// Header that precedes the payload in the receive buffer of a UD message.
inline constexpr std::uint32_t grh_size = 40;

} // namespace lab::efa
