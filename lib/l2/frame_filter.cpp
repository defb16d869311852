// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/frame_filter.hpp"

namespace p2prdma::l2 {
namespace {

constexpr std::size_t type_at = 12;

std::uint16_t big16(std::span<const std::byte> frame, std::size_t at) noexcept
{
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(frame[at]) << 8 |
                                      std::to_integer<unsigned>(frame[at + 1]));
}

} // namespace

bool FrameFilter::wants(std::span<const std::byte> frame,
                        std::optional<std::uint16_t> stripped) const noexcept
{
    if (frame.size() < ethernet_header)
        return false;
    auto type = big16(frame, type_at);
    auto tag = stripped;
    if (type == ether_type_vlan && !tag && frame.size() >= ethernet_header + vlan_tag) {
        tag = static_cast<std::uint16_t>(big16(frame, type_at + 2) & 0xfff);
        type = big16(frame, type_at + vlan_tag);
    }
    // VLAN 0 is a priority only.
    return type == ether_type && tag.value_or(0) == vlan.value_or(0);
}

} // namespace p2prdma::l2
