// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/efa/address_handle.hpp"
#include "tools/lab/efa/counters.hpp"
#include "tools/lab/efa/memory_region.hpp"
#include "tools/lab/efa/scheduler.hpp"
#include "tools/lab/event_loop.hpp"
#include "tools/lab/fabric.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace lab::efa {

/// Limits that an adapter reports, and keeps.
struct Limits {
    static constexpr std::uint32_t mtu = 8928; ///< of a send's payload
    static constexpr std::uint32_t max_rdma_size = 1u << 30;
    static constexpr std::uint32_t max_qp = 256;
    static constexpr std::uint32_t max_cq = 512;
    static constexpr std::uint32_t max_cq_depth = 32768;
    static constexpr std::uint32_t max_eq = 64;
    static constexpr std::uint32_t max_eq_depth = 1024; ///< more than there are CQs
    static constexpr std::uint32_t max_pd = 256;
    static constexpr std::uint32_t max_uar = 256;
    static constexpr std::uint32_t max_event_counters = 512;
    static constexpr std::uint32_t max_sq_depth = 1024;
    static constexpr std::uint32_t max_rq_depth = 4096;
    static constexpr std::uint32_t max_llq_size = 128 * 1024; ///< per queue pair
    static constexpr std::uint32_t max_send_sges = 2;
    static constexpr std::uint32_t max_receive_sges = 8;
    static constexpr std::uint32_t max_mr_pages = 1u << 24; ///< of 4 KiB: 64 GiB
    static constexpr std::uint32_t inline_size = 32;
    static constexpr std::uint32_t inline_size_ex = 80; ///< with 128-byte elements
};

/// What the objects of one adapter share.
struct Context {
    DmaEngine& dma;
    EventLoop& loop;
    Fabric& fabric;
    Gid gid;
    std::span<std::byte> queue_memory; ///< behind the LLQ BAR
    Counters counters{};
    MemoryRegionTable regions{};
    AddressHandleTable handles{};
    Scheduler scheduler{loop};

    /// Puts a packet on the fabric.
    void send(PacketPtr packet, std::uint64_t payload_length)
    {
        ++counters.tx_packets;
        counters.tx_bytes += payload_length;
        packet->source = gid;
        fabric.send(std::move(packet));
    }
};

} // namespace lab::efa
