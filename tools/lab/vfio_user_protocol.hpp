// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// The vfio-user protocol, version 0: what goes over the socket between QEMU and a device model.
/// All fields are little-endian. QEMU's docs/interop/vfio-user.rst specifies it.
namespace lab::vfio_user {

enum class Command : std::uint16_t {
    version = 1,
    dma_map = 2,
    dma_unmap = 3,
    get_info = 4,
    get_region_info = 5,
    get_region_io_fds = 6,
    get_irq_info = 7,
    set_irqs = 8,
    region_read = 9,
    region_write = 10,
    dma_read = 11,
    dma_write = 12,
    reset = 13,
};

inline constexpr std::size_t command_count = 14;
inline constexpr std::array<std::string_view, command_count> command_names{
    "unknown",         "version",           "dma_map",      "dma_unmap", "get_info",
    "get_region_info", "get_region_io_fds", "get_irq_info", "set_irqs",  "region_read",
    "region_write",    "dma_read",          "dma_write",    "reset"};

struct Header {
    std::uint16_t id;
    std::uint16_t command;
    std::uint32_t size; ///< of the message, this header included
    std::uint32_t flags;
    std::uint32_t error; ///< an errno, if flag_error is set
};
static_assert(sizeof(Header) == 16);

inline constexpr std::uint32_t flag_type_mask = 0xf;
inline constexpr std::uint32_t flag_reply = 0x1;
inline constexpr std::uint32_t flag_no_reply = 0x10;
inline constexpr std::uint32_t flag_error = 0x20;

struct Version {
    std::uint16_t major;
    std::uint16_t minor;
    // Capabilities follow: JSON text, ended by a zero byte.
};

struct DmaMap {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint64_t offset; ///< in the file whose descriptor comes along
    std::uint64_t address;
    std::uint64_t size;
};
static_assert(sizeof(DmaMap) == 32);
inline constexpr std::uint32_t dma_map_read = 1;
inline constexpr std::uint32_t dma_map_write = 2;

struct DmaUnmap {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint64_t address;
    std::uint64_t size; ///< address + size may be 2^64
};
static_assert(sizeof(DmaUnmap) == 24);

struct DeviceInfo {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t regions;
    std::uint32_t irqs;
};
static_assert(sizeof(DeviceInfo) == 16);
inline constexpr std::uint32_t device_reset = 1;
inline constexpr std::uint32_t device_pci = 2;

struct RegionInfo {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t index;
    std::uint32_t capability_offset;
    std::uint64_t size;
    std::uint64_t offset; ///< in the file whose descriptor comes along
};
static_assert(sizeof(RegionInfo) == 32);
inline constexpr std::uint32_t region_readable = 1;
inline constexpr std::uint32_t region_writable = 2;
inline constexpr std::uint32_t region_mappable = 4;
inline constexpr std::uint32_t region_config = 7;
inline constexpr std::uint32_t region_count = 9;

struct IrqInfo {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t index;
    std::uint32_t count;
};
static_assert(sizeof(IrqInfo) == 16);
inline constexpr std::uint32_t irq_eventfd = 1;
inline constexpr std::uint32_t irq_no_resize = 8;
inline constexpr std::uint32_t irq_msix = 2;
inline constexpr std::uint32_t irq_count = 5;

struct SetIrqs {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t index;
    std::uint32_t start;
    std::uint32_t count;
    // With irq_data_bool, a byte for each vector follows.
};
static_assert(sizeof(SetIrqs) == 20);
inline constexpr std::uint32_t irq_data_none = 1;
inline constexpr std::uint32_t irq_data_eventfd = 4;
inline constexpr std::uint32_t irq_action_trigger = 0x20;

struct RegionAccess {
    std::uint64_t offset;
    std::uint32_t region;
    std::uint32_t count;
    // The data follows.
};
static_assert(sizeof(RegionAccess) == 16);

struct DmaAccess {
    std::uint64_t address;
    std::uint64_t count;
    // The data follows: at byte 32 of the message.
};
static_assert(sizeof(DmaAccess) == 16);

inline constexpr std::size_t max_data = 1U << 20; ///< bytes of data in a message
inline constexpr std::size_t max_fds = 8;         ///< descriptors with a message
inline constexpr std::size_t max_message = sizeof(Header) + 64 + max_data;

} // namespace lab::vfio_user
