// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace p2prdma::l2 {

constexpr std::uint32_t ethernet_header = 14;
constexpr std::uint32_t vlan_tag = 4;
constexpr std::uint16_t ether_type_vlan = 0x8100; ///< IEEE 802.1Q

/// What a port lets in: frames of one EtherType, tagged for one VLAN or without a tag.
struct FrameFilter {
    std::uint16_t ether_type = 0x88b5;
    std::optional<std::uint16_t> vlan = {};

    /// \param stripped  the VLAN of a tag that the kernel took out of the frame
    [[nodiscard]] bool wants(std::span<const std::byte> frame,
                             std::optional<std::uint16_t> stripped = {}) const noexcept;
    /// Bytes before the payload of the link.
    [[nodiscard]] std::uint32_t header() const noexcept
    {
        return ethernet_header + (vlan ? vlan_tag : 0);
    }
};

} // namespace p2prdma::l2
