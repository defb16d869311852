// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lab {

/// The way a DMA access took.
enum class Route : std::uint8_t {
    peer_switch, ///< another device's BAR, below the same PCIe switch; the host bridge never saw it
    peer_bridge, ///< another device's BAR, through the host bridge
    host_dram,   ///< the machine's memory
    message,     ///< handed to QEMU as a message: the server cannot resolve the address itself
};

inline constexpr std::size_t route_count = 4;
inline constexpr std::array<std::string_view, route_count> route_names{"peer_switch", "peer_bridge",
                                                                       "host_dram", "message"};

/// Bytes by route; adds up.
struct RouteBytes {
    std::array<std::uint64_t, route_count> bytes{};

    std::uint64_t& operator[](Route r) { return bytes[static_cast<std::size_t>(r)]; }
    std::uint64_t operator[](Route r) const { return bytes[static_cast<std::size_t>(r)]; }
    RouteBytes& operator+=(const RouteBytes& other)
    {
        for (std::size_t i = 0; i < route_count; ++i)
            bytes[i] += other.bytes[i];
        return *this;
    }
};

} // namespace lab
