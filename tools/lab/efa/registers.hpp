// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>

/// The register BAR of an EFA adapter. All registers are 32 bits wide and little-endian; software
/// never reads them directly but asks for them by mmio_reg_read ("readless" MMIO).
namespace lab::efa::reg {

inline constexpr std::uint32_t version = 0x00;
inline constexpr std::uint32_t controller_version = 0x04;
inline constexpr std::uint32_t caps = 0x08;
inline constexpr std::uint32_t aq_base_lo = 0x10;
inline constexpr std::uint32_t aq_base_hi = 0x14;
inline constexpr std::uint32_t aq_caps = 0x18;
inline constexpr std::uint32_t acq_base_lo = 0x20;
inline constexpr std::uint32_t acq_base_hi = 0x24;
inline constexpr std::uint32_t acq_caps = 0x28;
inline constexpr std::uint32_t aq_prod_db = 0x2c;
inline constexpr std::uint32_t aenq_caps = 0x34;
inline constexpr std::uint32_t aenq_base_lo = 0x38;
inline constexpr std::uint32_t aenq_base_hi = 0x3c;
inline constexpr std::uint32_t aenq_cons_db = 0x40;
inline constexpr std::uint32_t intr_mask = 0x4c;
inline constexpr std::uint32_t dev_ctl = 0x54;
inline constexpr std::uint32_t dev_sts = 0x58;
inline constexpr std::uint32_t mmio_reg_read = 0x5c;
inline constexpr std::uint32_t mmio_resp_lo = 0x60;
inline constexpr std::uint32_t mmio_resp_hi = 0x64;
inline constexpr std::uint32_t eq_db = 0x68;
inline constexpr std::uint32_t end = 0x6c;

// caps
inline constexpr std::uint32_t caps_contiguous_queue_required = 1;
inline constexpr unsigned caps_reset_timeout_shift = 1;  ///< 5 bits, units of 100 ms
inline constexpr unsigned caps_dma_addr_width_shift = 8; ///< 8 bits
inline constexpr unsigned caps_admin_timeout_shift = 16; ///< 4 bits, units of 100 ms; 0: default

// aq_caps, acq_caps, aenq_caps
inline constexpr std::uint32_t queue_depth_mask = 0xffff;
inline constexpr unsigned aq_entry_size_shift = 16;  ///< 16 bits
inline constexpr unsigned acq_entry_size_shift = 16; ///< 8 bits
inline constexpr unsigned acq_vector_shift = 24;     ///< 8 bits

inline constexpr std::uint32_t intr_mask_masked = 1; ///< set: no interrupt for admin completions

inline constexpr std::uint32_t dev_ctl_reset = 1;

inline constexpr std::uint32_t dev_sts_ready = 1;
inline constexpr std::uint32_t dev_sts_reset_in_progress = 1u << 3;
inline constexpr std::uint32_t dev_sts_reset_finished = 1u << 4;
inline constexpr std::uint32_t dev_sts_fatal_error = 1u << 5;

// mmio_reg_read: request number in the low half, register offset in the high half
inline constexpr unsigned mmio_offset_shift = 16;

// eq_db
inline constexpr std::uint32_t eq_db_eqn_mask = 0xffff;
inline constexpr std::uint32_t eq_db_arm = 1u << 31;

// A completion queue's doorbell, in the doorbell BAR
inline constexpr std::uint32_t cq_db_consumer_mask = 0xffff;
inline constexpr std::uint32_t cq_db_arm = 1u << 31;

} // namespace lab::efa::reg
