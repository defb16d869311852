// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The ABI between module and user space, pinned: sizes, offsets, numbers, and no padding that
// the compiler put in.

#include <linux/p2prdma.h>
#include <linux/p2prdma_control.h>
#include <linux/p2prdma_local.h>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

// A member's offset is pinned, and so is that the member before it ends there.
#define NEXT(type, member, offset)                                                                 \
    do {                                                                                           \
        static_assert(offsetof(type, member) == (offset));                                         \
        CHECK(end == (offset));                                                                    \
        end += sizeof(type::member);                                                               \
    } while (false)

TEST_CASE("struct p2prdma_get_info", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_get_info, size, 0);
    NEXT(p2prdma_get_info, flags, 4);
    NEXT(p2prdma_get_info, abi_version, 8);
    NEXT(p2prdma_get_info, numa_node, 12);
    NEXT(p2prdma_get_info, capabilities, 16);
    NEXT(p2prdma_get_info, mem_size, 24);
    NEXT(p2prdma_get_info, mem_free, 32);
    NEXT(p2prdma_get_info, mem_largest_free, 40);
    NEXT(p2prdma_get_info, mem_granule, 48);
    NEXT(p2prdma_get_info, pci_domain, 52);
    NEXT(p2prdma_get_info, pci_bus, 56);
    NEXT(p2prdma_get_info, pci_devfn, 58);
    NEXT(p2prdma_get_info, pci_vendor, 60);
    NEXT(p2prdma_get_info, pci_device, 62);
    NEXT(p2prdma_get_info, driver, 64);
    CHECK(end == sizeof(p2prdma_get_info));
    static_assert(sizeof(p2prdma_get_info) == 80);
}

TEST_CASE("struct p2prdma_mem_alloc", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_mem_alloc, size, 0);
    NEXT(p2prdma_mem_alloc, flags, 4);
    NEXT(p2prdma_mem_alloc, length, 8);
    NEXT(p2prdma_mem_alloc, alignment, 16);
    NEXT(p2prdma_mem_alloc, cache, 24);
    NEXT(p2prdma_mem_alloc, policy, 28);
    NEXT(p2prdma_mem_alloc, fd, 32);
    NEXT(p2prdma_mem_alloc, __reserved, 36);
    NEXT(p2prdma_mem_alloc, card_offset, 40);
    CHECK(end == sizeof(p2prdma_mem_alloc));
    static_assert(sizeof(p2prdma_mem_alloc) == 48);
}

TEST_CASE("struct p2prdma_query_reach", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_query_reach, size, 0);
    NEXT(p2prdma_query_reach, flags, 4);
    NEXT(p2prdma_query_reach, peer, 8);
    NEXT(p2prdma_query_reach, reach, 16);
    NEXT(p2prdma_query_reach, distance, 20);
    NEXT(p2prdma_query_reach, card_port, 24);
    NEXT(p2prdma_query_reach, peer_port, 32);
    NEXT(p2prdma_query_reach, common, 40);
    NEXT(p2prdma_query_reach, host_vendor, 48);
    NEXT(p2prdma_query_reach, host_device, 50);
    NEXT(p2prdma_query_reach, __reserved, 52);
    CHECK(end == sizeof(p2prdma_query_reach));
    static_assert(sizeof(p2prdma_query_reach) == 56);
}

TEST_CASE("struct p2prdma_pci_addr", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_pci_addr, domain, 0);
    NEXT(p2prdma_pci_addr, bus, 4);
    NEXT(p2prdma_pci_addr, devfn, 6);
    CHECK(end == sizeof(p2prdma_pci_addr));
    static_assert(sizeof(p2prdma_pci_addr) == 8);
}

TEST_CASE("struct p2prdma_window_open", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_window_open, size, 0);
    NEXT(p2prdma_window_open, flags, 4);
    NEXT(p2prdma_window_open, dmabuf_fd, 8);
    NEXT(p2prdma_window_open, access, 12);
    NEXT(p2prdma_window_open, offset, 16);
    NEXT(p2prdma_window_open, length, 24);
    NEXT(p2prdma_window_open, fd, 32);
    NEXT(p2prdma_window_open, slot, 36);
    NEXT(p2prdma_window_open, aperture_offset, 40);
    NEXT(p2prdma_window_open, slot_size, 48);
    CHECK(end == sizeof(p2prdma_window_open));
    static_assert(sizeof(p2prdma_window_open) == 56);
}

TEST_CASE("struct p2prdma_doorbell_open", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_doorbell_open, size, 0);
    NEXT(p2prdma_doorbell_open, flags, 4);
    NEXT(p2prdma_doorbell_open, policy, 8);
    NEXT(p2prdma_doorbell_open, page, 12);
    NEXT(p2prdma_doorbell_open, fd, 16);
    NEXT(p2prdma_doorbell_open, length, 20);
    CHECK(end == sizeof(p2prdma_doorbell_open));
    static_assert(sizeof(p2prdma_doorbell_open) == 24);
}

TEST_CASE("struct p2prdma_event_bind", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_event_bind, size, 0);
    NEXT(p2prdma_event_bind, flags, 4);
    NEXT(p2prdma_event_bind, bell, 8);
    NEXT(p2prdma_event_bind, eventfd, 12);
    CHECK(end == sizeof(p2prdma_event_bind));
    static_assert(sizeof(p2prdma_event_bind) == 16);
}

TEST_CASE("struct p2prdma_control_open", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_control_open, size, 0);
    NEXT(p2prdma_control_open, flags, 4);
    NEXT(p2prdma_control_open, epoch, 8);
    NEXT(p2prdma_control_open, length, 12);
    NEXT(p2prdma_control_open, fd, 16);
    NEXT(p2prdma_control_open, __reserved, 20);
    CHECK(end == sizeof(p2prdma_control_open));
    static_assert(sizeof(p2prdma_control_open) == 24);
}

TEST_CASE("struct p2prdma_hca_regs", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_hca_regs, size, 0);
    NEXT(p2prdma_hca_regs, flags, 4);
    NEXT(p2prdma_hca_regs, uverbs_fd, 8);
    NEXT(p2prdma_hca_regs, kind, 12);
    NEXT(p2prdma_hca_regs, address, 16);
    NEXT(p2prdma_hca_regs, length, 24);
    NEXT(p2prdma_hca_regs, offset, 32);
    NEXT(p2prdma_hca_regs, fd, 40);
    NEXT(p2prdma_hca_regs, cache, 44);
    CHECK(end == sizeof(p2prdma_hca_regs));
    static_assert(sizeof(p2prdma_hca_regs) == 48);
}

TEST_CASE("struct p2prdma_local_info", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_local_info, size, 0);
    NEXT(p2prdma_local_info, flags, 4);
    NEXT(p2prdma_local_info, abi_version, 8);
    NEXT(p2prdma_local_info, state, 12);
    NEXT(p2prdma_local_info, epoch, 16);
    NEXT(p2prdma_local_info, client, 20);
    NEXT(p2prdma_local_info, serial, 24);
    NEXT(p2prdma_local_info, pool_size, 32);
    NEXT(p2prdma_local_info, windows, 40);
    NEXT(p2prdma_local_info, doorbells, 44);
    NEXT(p2prdma_local_info, pool, 48);
    NEXT(p2prdma_local_info, aperture, 56);
    CHECK(end == sizeof(p2prdma_local_info));
    static_assert(sizeof(p2prdma_local_info) == 64);
}

TEST_CASE("struct p2prdma_local_call", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_local_call, size, 0);
    NEXT(p2prdma_local_call, flags, 4);
    NEXT(p2prdma_local_call, op, 8);
    NEXT(p2prdma_local_call, timeout_ms, 12);
    NEXT(p2prdma_local_call, request, 16);
    NEXT(p2prdma_local_call, reply, 24);
    NEXT(p2prdma_local_call, request_length, 32);
    NEXT(p2prdma_local_call, reply_length, 36);
    NEXT(p2prdma_local_call, status, 40);
    NEXT(p2prdma_local_call, __reserved, 44);
    CHECK(end == sizeof(p2prdma_local_call));
    static_assert(sizeof(p2prdma_local_call) == 48);
}

TEST_CASE("struct p2prdma_local_event", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_local_event, size, 0);
    NEXT(p2prdma_local_event, flags, 4);
    NEXT(p2prdma_local_event, grant, 8);
    NEXT(p2prdma_local_event, eventfd, 12);
    CHECK(end == sizeof(p2prdma_local_event));
    static_assert(sizeof(p2prdma_local_event) == 16);
}

TEST_CASE("struct p2prdma_control_host", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_control_host, magic, 0);
    NEXT(p2prdma_control_host, version, 4);
    NEXT(p2prdma_control_host, epoch, 8);
    NEXT(p2prdma_control_host, state, 12);
    NEXT(p2prdma_control_host, request_tail, 16);
    NEXT(p2prdma_control_host, reply_head, 20);
    NEXT(p2prdma_control_host, grant_change, 24);
    NEXT(p2prdma_control_host, polls, 28);
    CHECK(end == sizeof(p2prdma_control_host));
    static_assert(sizeof(p2prdma_control_host) == 32);
}

TEST_CASE("struct p2prdma_control_card", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_control_card, epoch, 0);
    NEXT(p2prdma_control_card, request_head, 4);
    NEXT(p2prdma_control_card, reply_tail, 8);
    NEXT(p2prdma_control_card, polls, 12);
    NEXT(p2prdma_control_card, revoked, 16);
    CHECK(end == sizeof(p2prdma_control_card));
    static_assert(sizeof(p2prdma_control_card) == 1040);
}

TEST_CASE("struct p2prdma_message", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_message, epoch, 0);
    NEXT(p2prdma_message, op, 4);
    NEXT(p2prdma_message, length, 6);
    NEXT(p2prdma_message, client, 8);
    NEXT(p2prdma_message, id, 12);
    NEXT(p2prdma_message, status, 16);
    NEXT(p2prdma_message, __reserved, 20);
    NEXT(p2prdma_message, body, 32);
    CHECK(end == sizeof(p2prdma_message));
    static_assert(sizeof(p2prdma_message) == 256);
}

TEST_CASE("struct p2prdma_grant", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_grant, state, 0);
    NEXT(p2prdma_grant, generation, 4);
    NEXT(p2prdma_grant, client, 8);
    NEXT(p2prdma_grant, kind, 12);
    NEXT(p2prdma_grant, flags, 16);
    NEXT(p2prdma_grant, __reserved0, 20);
    NEXT(p2prdma_grant, offset, 24);
    NEXT(p2prdma_grant, length, 32);
    NEXT(p2prdma_grant, __reserved, 40);
    CHECK(end == sizeof(p2prdma_grant));
    static_assert(sizeof(p2prdma_grant) == 64);
}

TEST_CASE("struct p2prdma_id_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_id_request, id, 0);
    NEXT(p2prdma_id_request, __reserved, 4);
    CHECK(end == sizeof(p2prdma_id_request));
    static_assert(sizeof(p2prdma_id_request) == 8);
}

TEST_CASE("struct p2prdma_id_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_id_reply, id, 0);
    NEXT(p2prdma_id_reply, __reserved, 4);
    CHECK(end == sizeof(p2prdma_id_reply));
    static_assert(sizeof(p2prdma_id_reply) == 8);
}

TEST_CASE("struct p2prdma_hello_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_hello_request, version_min, 0);
    NEXT(p2prdma_hello_request, version_max, 4);
    NEXT(p2prdma_hello_request, capabilities, 8);
    NEXT(p2prdma_hello_request, name, 16);
    CHECK(end == sizeof(p2prdma_hello_request));
    static_assert(sizeof(p2prdma_hello_request) == 48);
}

TEST_CASE("struct p2prdma_hello_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_hello_reply, version, 0);
    NEXT(p2prdma_hello_reply, epoch, 4);
    NEXT(p2prdma_hello_reply, capabilities, 8);
    NEXT(p2prdma_hello_reply, adapters, 16);
    NEXT(p2prdma_hello_reply, max_qps, 20);
    NEXT(p2prdma_hello_reply, max_mem, 24);
    NEXT(p2prdma_hello_reply, hostname, 32);
    CHECK(end == sizeof(p2prdma_hello_reply));
    static_assert(sizeof(p2prdma_hello_reply) == 96);
}

TEST_CASE("struct p2prdma_adapter_query_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_adapter_query_request, adapter, 0);
    NEXT(p2prdma_adapter_query_request, __reserved, 4);
    CHECK(end == sizeof(p2prdma_adapter_query_request));
    static_assert(sizeof(p2prdma_adapter_query_request) == 8);
}

TEST_CASE("struct p2prdma_adapter_query_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_adapter_query_reply, caps, 0);
    NEXT(p2prdma_adapter_query_reply, isolation, 4);
    NEXT(p2prdma_adapter_query_reply, family, 8);
    NEXT(p2prdma_adapter_query_reply, max_send, 12);
    NEXT(p2prdma_adapter_query_reply, max_receive, 16);
    NEXT(p2prdma_adapter_query_reply, max_cq, 20);
    NEXT(p2prdma_adapter_query_reply, max_inline, 24);
    NEXT(p2prdma_adapter_query_reply, max_message, 28);
    NEXT(p2prdma_adapter_query_reply, max_rdma, 32);
    NEXT(p2prdma_adapter_query_reply, gid, 40);
    NEXT(p2prdma_adapter_query_reply, name, 56);
    NEXT(p2prdma_adapter_query_reply, reason, 80);
    CHECK(end == sizeof(p2prdma_adapter_query_reply));
    static_assert(sizeof(p2prdma_adapter_query_reply) == 208);
}

TEST_CASE("struct p2prdma_mem_alloc_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_mem_alloc_request, length, 0);
    NEXT(p2prdma_mem_alloc_request, flags, 8);
    NEXT(p2prdma_mem_alloc_request, __reserved, 12);
    CHECK(end == sizeof(p2prdma_mem_alloc_request));
    static_assert(sizeof(p2prdma_mem_alloc_request) == 16);
}

TEST_CASE("struct p2prdma_mem_alloc_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_mem_alloc_reply, id, 0);
    NEXT(p2prdma_mem_alloc_reply, grant, 4);
    NEXT(p2prdma_mem_alloc_reply, length, 8);
    CHECK(end == sizeof(p2prdma_mem_alloc_reply));
    static_assert(sizeof(p2prdma_mem_alloc_reply) == 16);
}

TEST_CASE("struct p2prdma_mr_reg_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_mr_reg_request, adapter, 0);
    NEXT(p2prdma_mr_reg_request, memory, 4);
    NEXT(p2prdma_mr_reg_request, offset, 8);
    NEXT(p2prdma_mr_reg_request, length, 16);
    NEXT(p2prdma_mr_reg_request, access, 24);
    NEXT(p2prdma_mr_reg_request, __reserved, 28);
    CHECK(end == sizeof(p2prdma_mr_reg_request));
    static_assert(sizeof(p2prdma_mr_reg_request) == 32);
}

TEST_CASE("struct p2prdma_mr_reg_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_mr_reg_reply, id, 0);
    NEXT(p2prdma_mr_reg_reply, lkey, 4);
    NEXT(p2prdma_mr_reg_reply, rkey, 8);
    NEXT(p2prdma_mr_reg_reply, __reserved, 12);
    NEXT(p2prdma_mr_reg_reply, address, 16);
    CHECK(end == sizeof(p2prdma_mr_reg_reply));
    static_assert(sizeof(p2prdma_mr_reg_reply) == 24);
}

TEST_CASE("struct p2prdma_cq_create_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_cq_create_request, adapter, 0);
    NEXT(p2prdma_cq_create_request, entries, 4);
    CHECK(end == sizeof(p2prdma_cq_create_request));
    static_assert(sizeof(p2prdma_cq_create_request) == 8);
}

TEST_CASE("struct p2prdma_cq_create_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_cq_create_reply, id, 0);
    NEXT(p2prdma_cq_create_reply, grant, 4);
    NEXT(p2prdma_cq_create_reply, offset, 8);
    NEXT(p2prdma_cq_create_reply, entries, 16);
    NEXT(p2prdma_cq_create_reply, entry_size, 20);
    CHECK(end == sizeof(p2prdma_cq_create_reply));
    static_assert(sizeof(p2prdma_cq_create_reply) == 24);
}

TEST_CASE("struct p2prdma_qp_create_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_qp_create_request, adapter, 0);
    NEXT(p2prdma_qp_create_request, send_cq, 4);
    NEXT(p2prdma_qp_create_request, receive_cq, 8);
    NEXT(p2prdma_qp_create_request, send_entries, 12);
    NEXT(p2prdma_qp_create_request, receive_entries, 16);
    NEXT(p2prdma_qp_create_request, inline_bytes, 20);
    NEXT(p2prdma_qp_create_request, qkey, 24);
    NEXT(p2prdma_qp_create_request, __reserved, 28);
    CHECK(end == sizeof(p2prdma_qp_create_request));
    static_assert(sizeof(p2prdma_qp_create_request) == 32);
}

TEST_CASE("struct p2prdma_queue", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_queue, ring_grant, 0);
    NEXT(p2prdma_queue, ring_offset, 4);
    NEXT(p2prdma_queue, doorbell_grant, 8);
    NEXT(p2prdma_queue, doorbell_offset, 12);
    NEXT(p2prdma_queue, entry_size, 16);
    NEXT(p2prdma_queue, entries, 20);
    NEXT(p2prdma_queue, max_batch, 24);
    NEXT(p2prdma_queue, __reserved, 28);
    CHECK(end == sizeof(p2prdma_queue));
    static_assert(sizeof(p2prdma_queue) == 32);
}

TEST_CASE("struct p2prdma_qp_create_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_qp_create_reply, id, 0);
    NEXT(p2prdma_qp_create_reply, number, 4);
    NEXT(p2prdma_qp_create_reply, send, 8);
    NEXT(p2prdma_qp_create_reply, receive, 40);
    CHECK(end == sizeof(p2prdma_qp_create_reply));
    static_assert(sizeof(p2prdma_qp_create_reply) == 72);
}

TEST_CASE("struct p2prdma_ah_create_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_ah_create_request, adapter, 0);
    NEXT(p2prdma_ah_create_request, __reserved, 4);
    NEXT(p2prdma_ah_create_request, gid, 8);
    CHECK(end == sizeof(p2prdma_ah_create_request));
    static_assert(sizeof(p2prdma_ah_create_request) == 24);
}

TEST_CASE("struct p2prdma_ah_create_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_ah_create_reply, id, 0);
    NEXT(p2prdma_ah_create_reply, number, 4);
    CHECK(end == sizeof(p2prdma_ah_create_reply));
    static_assert(sizeof(p2prdma_ah_create_reply) == 8);
}

TEST_CASE("struct p2prdma_event_create_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_event_create_request, adapter, 0);
    NEXT(p2prdma_event_create_request, flags, 4);
    CHECK(end == sizeof(p2prdma_event_create_request));
    static_assert(sizeof(p2prdma_event_create_request) == 8);
}

TEST_CASE("struct p2prdma_event_create_reply", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_event_create_reply, id, 0);
    NEXT(p2prdma_event_create_reply, grant, 4);
    NEXT(p2prdma_event_create_reply, kind, 8);
    NEXT(p2prdma_event_create_reply, page, 12);
    NEXT(p2prdma_event_create_reply, reason, 16);
    CHECK(end == sizeof(p2prdma_event_create_reply));
    static_assert(sizeof(p2prdma_event_create_reply) == 144);
}

TEST_CASE("struct p2prdma_counter_create_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_counter_create_request, qp, 0);
    NEXT(p2prdma_counter_create_request, ops, 4);
    NEXT(p2prdma_counter_create_request, target, 8);
    NEXT(p2prdma_counter_create_request, __reserved, 12);
    NEXT(p2prdma_counter_create_request, offset, 16);
    CHECK(end == sizeof(p2prdma_counter_create_request));
    static_assert(sizeof(p2prdma_counter_create_request) == 24);
}

TEST_CASE("struct p2prdma_stream_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_stream_request, id, 0);
    NEXT(p2prdma_stream_request, port, 4);
    NEXT(p2prdma_stream_request, wait_ms, 8);
    NEXT(p2prdma_stream_request, length, 12);
    NEXT(p2prdma_stream_request, host, 16);
    CHECK(end == sizeof(p2prdma_stream_request));
    static_assert(sizeof(p2prdma_stream_request) == 144);
}

TEST_CASE("struct p2prdma_stream_send_request", "[uapi]")
{
    size_t end = 0;
    NEXT(p2prdma_stream_send_request, id, 0);
    NEXT(p2prdma_stream_send_request, length, 4);
    NEXT(p2prdma_stream_send_request, data, 8);
    CHECK(end == sizeof(p2prdma_stream_send_request));
    static_assert(sizeof(p2prdma_stream_send_request) == 224);
}

TEST_CASE("ioctl numbers and constants", "[uapi]")
{
    STATIC_REQUIRE(P2PRDMA_GET_INFO == 0xb940);
    STATIC_REQUIRE(P2PRDMA_MEM_ALLOC == 0xb941);
    STATIC_REQUIRE(P2PRDMA_REACH == 0xb942);
    STATIC_REQUIRE(P2PRDMA_NAME_LEN == 16);
    STATIC_REQUIRE(P2PRDMA_CAP_MEM == 1);
    STATIC_REQUIRE(P2PRDMA_CAP_P2PDMA == 2);
    STATIC_REQUIRE(P2PRDMA_CAP_REVOKE == 4);
    STATIC_REQUIRE(P2PRDMA_CAP_DOORBELL == 8);
    STATIC_REQUIRE(P2PRDMA_CACHE_WC == 0);
    STATIC_REQUIRE(P2PRDMA_CACHE_UC == 1);
    STATIC_REQUIRE(P2PRDMA_POLICY_PINNABLE == 0);
    STATIC_REQUIRE(P2PRDMA_POLICY_REVOCABLE == 1);
    STATIC_REQUIRE(P2PRDMA_REACH_SWITCH == 0);
    STATIC_REQUIRE(P2PRDMA_REACH_BRIDGE == 1);
    STATIC_REQUIRE(P2PRDMA_REACH_REFUSED == 2);
    STATIC_REQUIRE(P2PRDMA_REACH_UNSUPPORTED == 3);
    STATIC_REQUIRE(P2PRDMA_WINDOW_OPEN == 0xb943);
    STATIC_REQUIRE(P2PRDMA_DOORBELL_OPEN == 0xb944);
    STATIC_REQUIRE(P2PRDMA_EVENT_BIND == 0xb945);
    STATIC_REQUIRE(P2PRDMA_CONTROL_OPEN == 0xb946);
    STATIC_REQUIRE(P2PRDMA_HCA_REGS == 0xb950);
    STATIC_REQUIRE(P2PRDMA_WINDOW_SHUT == 0xb960);
    STATIC_REQUIRE(P2PRDMA_TYPE == 0xb9);
    STATIC_REQUIRE(P2PRDMA_CAP_WINDOW == 16);
    STATIC_REQUIRE(P2PRDMA_CAP_BELL == 32);
    STATIC_REQUIRE(P2PRDMA_CAP_CONTROL == 64);
    STATIC_REQUIRE(P2PRDMA_ACCESS_READ == 1);
    STATIC_REQUIRE(P2PRDMA_ACCESS_WRITE == 2);
    STATIC_REQUIRE(P2PRDMA_DOORBELL_CONTROL == 1);
    STATIC_REQUIRE(P2PRDMA_HCA_DOORBELL == 0);
    STATIC_REQUIRE(P2PRDMA_HCA_QUEUE == 1);
    STATIC_REQUIRE(P2PRDMA_HCA_RING == 2);
}

TEST_CASE("numbers of the card's own machine", "[uapi]")
{
    STATIC_REQUIRE(P2PRDMA_LOCAL_INFO == 0xb960);
    STATIC_REQUIRE(P2PRDMA_LOCAL_CALL == 0xb961);
    STATIC_REQUIRE(P2PRDMA_LOCAL_EVENT == 0xb962);
    STATIC_REQUIRE(P2PRDMA_GRANT_SHIFT == 40);
    STATIC_REQUIRE(P2PRDMA_LOCAL_ALONE == 0);
    STATIC_REQUIRE(P2PRDMA_LOCAL_SERVED == 1);
    STATIC_REQUIRE(P2PRDMA_LOCAL_FOREIGN == 2);
}

TEST_CASE("numbers of the control area", "[uapi]")
{
    STATIC_REQUIRE(P2PRDMA_CONTROL_MAGIC == 0x4c525443);
    STATIC_REQUIRE(P2PRDMA_HELLO_DIRECT == 1);
    STATIC_REQUIRE(P2PRDMA_HELLO_STREAMS == 2);
    STATIC_REQUIRE(P2PRDMA_CONTROL_VERSION == 1);
    STATIC_REQUIRE(P2PRDMA_CONTROL_HOST == 0x0000);
    STATIC_REQUIRE(P2PRDMA_CONTROL_CARD == 0x1000);
    STATIC_REQUIRE(P2PRDMA_CONTROL_REQUESTS == 0x2000);
    STATIC_REQUIRE(P2PRDMA_CONTROL_REPLIES == 0x6000);
    STATIC_REQUIRE(P2PRDMA_CONTROL_GRANTS == 0xa000);
    STATIC_REQUIRE(P2PRDMA_CONTROL_SIZE == 0x10000);
    STATIC_REQUIRE(P2PRDMA_CONTROL_SLOTS == 64);
    STATIC_REQUIRE(P2PRDMA_CONTROL_BODY == 224);
    STATIC_REQUIRE(P2PRDMA_CONTROL_GRANT_COUNT == 256);
    STATIC_REQUIRE(P2PRDMA_CONTROL_CLIENTS == 32);
    STATIC_REQUIRE(P2PRDMA_CONTROL_CALLS == 2);
    STATIC_REQUIRE(P2PRDMA_CONTROL_LEFT == 0xffffffff);
    STATIC_REQUIRE(P2PRDMA_CONTROL_CLOSED == 0);
    STATIC_REQUIRE(P2PRDMA_CONTROL_SERVING == 1);
    STATIC_REQUIRE(P2PRDMA_GRANT_POOL == 1);
    STATIC_REQUIRE(P2PRDMA_GRANT_WINDOW == 2);
    STATIC_REQUIRE(P2PRDMA_GRANT_DOORBELL == 3);
    STATIC_REQUIRE(P2PRDMA_GRANT_FREE == 0);
    STATIC_REQUIRE(P2PRDMA_GRANT_VALID == 1);
    STATIC_REQUIRE(P2PRDMA_GRANT_REVOKED == 2);
    STATIC_REQUIRE(P2PRDMA_GRANT_UC == 1);
    STATIC_REQUIRE(P2PRDMA_GRANT_READ_ONLY == 2);
    STATIC_REQUIRE(P2PRDMA_OP_HELLO == 1);
    STATIC_REQUIRE(P2PRDMA_OP_CLIENT_GONE == 2);
    STATIC_REQUIRE(P2PRDMA_OP_ADAPTER_QUERY == 3);
    STATIC_REQUIRE(P2PRDMA_OP_MEM_ALLOC == 4);
    STATIC_REQUIRE(P2PRDMA_OP_MEM_FREE == 5);
    STATIC_REQUIRE(P2PRDMA_OP_MR_REG == 6);
    STATIC_REQUIRE(P2PRDMA_OP_MR_DEREG == 7);
    STATIC_REQUIRE(P2PRDMA_OP_CQ_CREATE == 8);
    STATIC_REQUIRE(P2PRDMA_OP_CQ_DESTROY == 9);
    STATIC_REQUIRE(P2PRDMA_OP_QP_CREATE == 10);
    STATIC_REQUIRE(P2PRDMA_OP_QP_DESTROY == 11);
    STATIC_REQUIRE(P2PRDMA_OP_AH_CREATE == 12);
    STATIC_REQUIRE(P2PRDMA_OP_AH_DESTROY == 13);
    STATIC_REQUIRE(P2PRDMA_OP_EVENT_CREATE == 14);
    STATIC_REQUIRE(P2PRDMA_OP_EVENT_DESTROY == 15);
    STATIC_REQUIRE(P2PRDMA_OP_COUNTER_CREATE == 16);
    STATIC_REQUIRE(P2PRDMA_OP_COUNTER_DESTROY == 17);
    STATIC_REQUIRE(P2PRDMA_OP_STREAM_LISTEN == 18);
    STATIC_REQUIRE(P2PRDMA_OP_STREAM_ACCEPT == 19);
    STATIC_REQUIRE(P2PRDMA_OP_STREAM_CONNECT == 20);
    STATIC_REQUIRE(P2PRDMA_OP_STREAM_SEND == 21);
    STATIC_REQUIRE(P2PRDMA_OP_STREAM_RECEIVE == 22);
    STATIC_REQUIRE(P2PRDMA_OP_STREAM_CLOSE == 23);
    STATIC_REQUIRE(P2PRDMA_ISOLATION_NONE == 0);
    STATIC_REQUIRE(P2PRDMA_ISOLATION_LAZY == 1);
    STATIC_REQUIRE(P2PRDMA_ISOLATION_STRICT == 2);
    STATIC_REQUIRE(P2PRDMA_ADAPTER_RDMA_READ == 1);
    STATIC_REQUIRE(P2PRDMA_ADAPTER_RDMA_WRITE == 2);
    STATIC_REQUIRE(P2PRDMA_ADAPTER_CQ_IN_CARD == 4);
    STATIC_REQUIRE(P2PRDMA_ADAPTER_COUNTER == 8);
    STATIC_REQUIRE(P2PRDMA_ADAPTER_P2P_EVENT == 16);
    STATIC_REQUIRE(P2PRDMA_EVENT_P2P == 0);
    STATIC_REQUIRE(P2PRDMA_EVENT_RELAY == 1);
}

TEST_CASE("the parts of the control area do not overlap", "[uapi]")
{
    constexpr size_t ring = P2PRDMA_CONTROL_SLOTS * sizeof(p2prdma_message);
    STATIC_REQUIRE(sizeof(p2prdma_control_host) <= P2PRDMA_CONTROL_CARD);
    STATIC_REQUIRE(P2PRDMA_CONTROL_CARD + sizeof(p2prdma_control_card) <= P2PRDMA_CONTROL_REQUESTS);
    STATIC_REQUIRE(P2PRDMA_CONTROL_REQUESTS + ring <= P2PRDMA_CONTROL_REPLIES);
    STATIC_REQUIRE(P2PRDMA_CONTROL_REPLIES + ring <= P2PRDMA_CONTROL_GRANTS);
    STATIC_REQUIRE(P2PRDMA_CONTROL_GRANTS + P2PRDMA_CONTROL_GRANT_COUNT * sizeof(p2prdma_grant) <=
                   P2PRDMA_CONTROL_SIZE);
}

TEST_CASE("each request and reply fits a message", "[uapi]")
{
    STATIC_REQUIRE(sizeof(p2prdma_id_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_id_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_hello_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_hello_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_adapter_query_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_adapter_query_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_mem_alloc_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_mem_alloc_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_mr_reg_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_mr_reg_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_cq_create_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_cq_create_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_qp_create_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_qp_create_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_ah_create_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_ah_create_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_event_create_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_event_create_reply) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_counter_create_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_stream_request) <= P2PRDMA_CONTROL_BODY);
    STATIC_REQUIRE(sizeof(p2prdma_stream_send_request) <= P2PRDMA_CONTROL_BODY);
}

// The header alone, as a program in C or C++ would include it. Needs the top of the source tree
// as working directory, as "make check" has it.
bool compiles_alone(const std::string& header, const std::string& compiler,
                    const std::string& flags, const std::string& suffix)
{
    const auto source = std::filesystem::temp_directory_path() /
                        ("uapi_layout_test." + std::to_string(::getpid()) + suffix);
    std::ofstream(source) << "#include <linux/" << header << ">\nint main(void) { return 0; }\n";
    const std::string command = compiler + " " + flags +
                                " -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude/uapi " +
                                source.string();
    const int status = std::system(command.c_str());
    std::filesystem::remove(source);
    return status == 0;
}

TEST_CASE("each header compiles alone", "[uapi]")
{
    if (!std::filesystem::exists("include/uapi/linux/p2prdma.h"))
        SKIP("not run from the top of the source tree");
    for (const std::string header : {"p2prdma.h", "p2prdma_local.h", "p2prdma_control.h"}) {
        INFO(header);
        CHECK(compiles_alone(header, "cc", "-std=c99", ".c"));
        CHECK(compiles_alone(header, "cc", "-std=c17", ".c"));
        CHECK(compiles_alone(header, "c++", "-std=c++11", ".cpp"));
        CHECK(compiles_alone(header, "c++", "-std=c++20", ".cpp"));
    }
}

} // namespace
