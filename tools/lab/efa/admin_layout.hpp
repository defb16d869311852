// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// The admin queue's commands and responses (interface version 0.1: 64-byte entries, no
/// checksums). Little-endian. Commands are what follows the common descriptor of a submission
/// entry; responses are what follows that of a completion entry.
namespace lab::efa::admin {

enum class Opcode : std::uint8_t {
    create_qp = 1,
    modify_qp = 2,
    query_qp = 3,
    destroy_qp = 4,
    create_ah = 5,
    destroy_ah = 6,
    reg_mr = 7,
    dereg_mr = 8,
    create_cq = 9,
    destroy_cq = 10,
    get_feature = 11,
    set_feature = 12,
    get_stats = 13,
    alloc_pd = 14,
    dealloc_pd = 15,
    alloc_uar = 16,
    dealloc_uar = 17,
    create_eq = 18,
    destroy_eq = 19,
    create_event_counter = 25,
    destroy_event_counter = 26,
    attach_event_counter = 27,
    modify_event_counter = 28,
    detach_event_counter = 29,
    last = 29,
};

enum class Status : std::uint8_t {
    success = 0,
    resource_allocation_failure = 1,
    bad_opcode = 2,
    unsupported_opcode = 3,
    malformed_request = 4,
    illegal_parameter = 5,
    unknown_error = 6,
    resource_busy = 7,
};

enum class Feature : std::uint8_t {
    device_attr = 1,
    aenq_config = 2,
    network_attr = 3,
    queue_attr_1 = 4,
    hw_hints = 5,
    host_info = 6,
    event_queue_attr = 7,
    queue_attr_2 = 9,
};

enum class StatsType : std::uint8_t { basic, messages, rdma_read, rdma_write, network };

inline constexpr std::uint8_t qp_type_ud = 1;
inline constexpr std::uint8_t qp_type_srd = 2;

// device_caps
inline constexpr std::uint32_t cap_rdma_read = 1u << 0;
inline constexpr std::uint32_t cap_rnr_retry = 1u << 1;
inline constexpr std::uint32_t cap_rdma_write = 1u << 3;
inline constexpr std::uint32_t cap_unsolicited_write_recv = 1u << 4;
inline constexpr std::uint32_t cap_event_counters = 1u << 5;

#pragma pack(push, 1)

struct SubmissionHead {
    static constexpr std::uint16_t command_id_mask = 0xfff;
    static constexpr std::uint8_t phase = 1u << 0;
    static constexpr std::uint8_t ctrl_data = 1u << 1;
    static constexpr std::uint8_t ctrl_data_indirect = 1u << 2;

    std::uint16_t command_id;
    std::uint8_t opcode;
    std::uint8_t flags;
};

inline constexpr std::size_t payload_size = 60;

struct SubmissionEntry {
    SubmissionHead head;
    std::array<std::byte, payload_size> payload;
};
static_assert(sizeof(SubmissionEntry) == 64);

struct CompletionHead {
    std::uint16_t command_id;
    Status status;
    std::uint8_t flags; ///< bit 0: phase
    std::uint16_t checksum;
    std::uint16_t reserved;
};

inline constexpr std::size_t response_size = 56;

struct CompletionEntry {
    CompletionHead head;
    std::array<std::byte, response_size> response;
};
static_assert(sizeof(CompletionEntry) == 64);

/// Answer to a readless register read; `request` is written with the value and seen last.
struct MmioResponse {
    std::uint16_t request;
    std::uint16_t offset;
    std::uint32_t value;
};
static_assert(sizeof(MmioResponse) == 8);

/// Where a control buffer, or the next chunk of a page list, is.
struct ControlBuffer {
    std::uint32_t length;
    std::uint64_t address;
};
static_assert(sizeof(ControlBuffer) == 12);

struct CreateQp {
    static constexpr std::uint8_t flag_sq_virt = 1u << 0;
    static constexpr std::uint8_t flag_rq_virt = 1u << 1;
    static constexpr std::uint8_t flag_unsolicited_write_recv = 1u << 2;

    std::uint16_t pd;
    std::uint8_t qp_type;
    std::uint8_t flags;
    std::uint64_t sq_base;
    std::uint64_t rq_base;
    std::uint32_t send_cq;
    std::uint32_t receive_cq;
    std::uint32_t sq_lkey;
    std::uint32_t rq_lkey;
    std::uint32_t sq_ring_size; ///< bytes
    std::uint32_t sq_depth;     ///< work requests
    std::uint32_t rq_ring_size; ///< bytes
    std::uint32_t rq_depth;     ///< work requests
    std::uint16_t uar;
    std::uint8_t service_level;
    std::array<std::uint8_t, 5> reserved;
};
static_assert(sizeof(CreateQp) == payload_size);

struct CreateQpResponse {
    std::uint32_t handle;
    std::uint16_t qp_num;
    std::uint16_t reserved;
    std::uint16_t send_sub_cq;
    std::uint16_t receive_sub_cq;
    std::uint32_t sq_doorbell; ///< offset in the doorbell BAR
    std::uint32_t rq_doorbell;
    std::uint32_t llq_offset; ///< offset in the queue memory BAR
};
static_assert(sizeof(CreateQpResponse) == 24);

struct ModifyQp {
    static constexpr std::uint32_t mask_state = 1u << 0;
    static constexpr std::uint32_t mask_current_state = 1u << 1;
    static constexpr std::uint32_t mask_qkey = 1u << 2;
    static constexpr std::uint32_t mask_sq_psn = 1u << 3;
    static constexpr std::uint32_t mask_sq_drained_notify = 1u << 4;
    static constexpr std::uint32_t mask_rnr_retry = 1u << 5;
    static constexpr std::uint32_t mask_all = 0x3f;

    std::uint32_t mask;
    std::uint32_t handle;
    std::uint32_t state;
    std::uint32_t current_state;
    std::uint32_t qkey;
    std::uint32_t sq_psn;
    std::uint8_t sq_drained_notify;
    std::uint8_t rnr_retry;
    std::uint16_t reserved;
};
static_assert(sizeof(ModifyQp) == 28);

struct QpHandle {
    std::uint32_t handle;
};

struct QueryQpResponse {
    std::uint32_t state;
    std::uint32_t qkey;
    std::uint32_t sq_psn;
    std::uint8_t sq_draining;
    std::uint8_t rnr_retry;
    std::uint16_t reserved;
};
static_assert(sizeof(QueryQpResponse) == 16);

struct CreateAh {
    std::array<std::uint8_t, 16> destination;
    std::uint16_t pd;
    std::uint16_t reserved;
};
static_assert(sizeof(CreateAh) == 20);

struct DestroyAh {
    std::uint16_t ah;
    std::uint16_t pd;
};

struct RegMr {
    static constexpr std::uint8_t flag_page_shift_mask = 0x3f;
    static constexpr std::uint8_t flag_physical = 1u << 7;

    std::uint16_t pd;
    std::uint16_t reserved;
    union {
        std::array<std::uint64_t, 4> inline_pages;
        ControlBuffer page_list;
    };
    std::uint64_t length;
    std::uint8_t flags;
    std::uint8_t permissions;
    std::uint16_t reserved2;
    std::uint32_t page_count; ///< not to be relied on: the driver leaves it 0
    std::uint64_t iova;
};
static_assert(sizeof(RegMr) == payload_size);

struct RegMrResponse {
    std::uint32_t lkey;
    std::uint32_t rkey;
    std::array<std::uint8_t, 4> interconnect; ///< validity mask and three identifiers
};
static_assert(sizeof(RegMrResponse) == 12);

struct DeregMr {
    std::uint32_t lkey;
};

struct CreateCq {
    static constexpr std::uint8_t caps1_interrupt = 1u << 5;
    static constexpr std::uint8_t caps1_virt = 1u << 6;
    static constexpr std::uint8_t caps2_entry_words_mask = 0x1f;
    static constexpr std::uint8_t caps2_set_source_address = 1u << 5;
    static constexpr std::uint8_t caps2_req_id_64 = 1u << 6;

    std::uint8_t caps1;
    std::uint8_t caps2;
    std::uint16_t depth;
    std::uint16_t eqn;
    std::uint16_t reserved;
    std::uint64_t base;
    std::uint32_t lkey;
    std::uint16_t sub_cqs;
    std::uint16_t uar;
};
static_assert(sizeof(CreateCq) == 24);

struct CreateCqResponse {
    static constexpr std::uint32_t flag_doorbell_valid = 1;

    std::uint16_t cqn;
    std::uint16_t actual_depth;
    std::uint32_t doorbell;
    std::uint32_t flags;
};
static_assert(sizeof(CreateCqResponse) == 12);

/// Commands and responses that consist of one 16-bit number: CQ, EQ, PD, UAR, AH.
struct Number {
    std::uint16_t number;
    std::uint16_t reserved;
};

struct CreateEq {
    static constexpr std::uint8_t caps_entry_words_mask = 0x1f;
    static constexpr std::uint32_t event_completion = 1;

    std::uint16_t depth;
    std::uint8_t vector;
    std::uint8_t caps;
    std::uint64_t base;
    std::uint32_t event_mask;
    std::uint32_t reserved;
};
static_assert(sizeof(CreateEq) == 20);

struct CreateEventCounter {
    std::uint16_t uar;
    std::uint16_t reserved;
    std::uint64_t address; ///< of eight bytes, aligned
};
static_assert(sizeof(CreateEventCounter) == 12);

struct CreateEventCounterResponse {
    std::uint32_t handle;
    std::uint32_t reserved;
};

struct CounterHandle {
    std::uint32_t handle;
};

/// Attaches or detaches.
struct AttachEventCounter {
    static constexpr std::uint8_t type_qp_events = 0;

    std::uint32_t counter;
    std::uint8_t type;
    std::array<std::uint8_t, 3> reserved;
    std::uint32_t qp;
    std::uint32_t events; ///< bits of QpEvent
};
static_assert(sizeof(AttachEventCounter) == 16);

struct ModifyEventCounter {
    static constexpr std::uint8_t operation_set = 0;
    static constexpr std::uint8_t operation_add = 1;

    std::uint32_t counter;
    std::uint8_t operation;
    std::array<std::uint8_t, 7> reserved;
    std::uint64_t value;
};
static_assert(sizeof(ModifyEventCounter) == 20);

struct FeatureCommand {
    ControlBuffer control;
    std::uint8_t reserved;
    Feature feature;
    std::uint16_t reserved2;
    std::array<std::uint32_t, 11> data;
};
static_assert(sizeof(FeatureCommand) == payload_size);

struct DeviceAttr {
    std::uint64_t supported_features;
    std::uint64_t page_size_cap;
    std::uint32_t firmware_version;
    std::uint32_t api_version;
    std::uint32_t device_version;
    std::uint16_t doorbell_bar;
    std::uint8_t physical_width;
    std::uint8_t virtual_width;
    std::uint32_t device_caps;
    std::uint32_t max_rdma_size;
    std::uint64_t guid;
    std::uint16_t link_speed_gbps;
    std::uint16_t reserved;
    std::uint32_t reserved2;
};
static_assert(sizeof(DeviceAttr) == response_size);

struct QueueAttr1 {
    std::uint32_t max_qp;
    std::uint32_t max_sq_depth;
    std::uint32_t inline_size;
    std::uint32_t max_rq_depth;
    std::uint32_t max_cq;
    std::uint32_t max_cq_depth;
    std::uint16_t sub_cqs_per_cq;
    std::uint16_t min_sq_depth;
    std::uint16_t max_send_sges;
    std::uint16_t max_receive_sges;
    std::uint32_t max_mr;
    std::uint32_t max_mr_pages;
    std::uint32_t max_pd;
    std::uint32_t max_ah;
    std::uint32_t max_llq_size;
    std::uint16_t max_rdma_sges;
    std::uint16_t max_tx_batch;
};
static_assert(sizeof(QueueAttr1) == response_size);

struct QueueAttr2 {
    std::uint16_t inline_size_ex;
    std::array<std::uint8_t, 6> reserved;
    std::uint32_t counter_events;
    std::uint32_t max_counters;
    std::uint64_t counter_max;
};
static_assert(sizeof(QueueAttr2) == 24);

struct EventQueueAttr {
    std::uint32_t max_eq;
    std::uint32_t max_eq_depth;
    std::uint32_t event_mask;
};

struct AenqConfig {
    std::uint32_t supported_groups;
    std::uint32_t enabled_groups;
};

struct NetworkAttr {
    std::array<std::uint8_t, 16> gid;
    std::uint32_t mtu;
};

struct HwHints {
    std::uint16_t mmio_read_timeout_ms;
    std::uint16_t watchdog_timeout_ms;
    std::uint16_t admin_timeout_ms;
    std::uint16_t poll_interval_ms;
};

struct GetStats {
    ControlBuffer control;
    StatsType type;
    std::uint8_t scope; ///< 0: whole adapter
    std::uint16_t scope_modifier;
};
static_assert(sizeof(GetStats) == 16);

struct StatsResponse {
    std::array<std::uint64_t, 6> values;
};

#pragma pack(pop)

} // namespace lab::efa::admin
