// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace p2prdma::l2 {

/// An Ethernet address (IEEE 802, EUI-48).
struct P2PRDMA_API MacAddress {
    std::array<std::uint8_t, 6> bytes = {};

    // clang-tidy 14 takes the 0 that a rewritten comparison compares with for a pointer.
    // NOLINTNEXTLINE(modernize-use-nullptr)
    friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
    [[nodiscard]] bool is_group() const noexcept { return bytes[0] & 1; }
    [[nodiscard]] bool is_zero() const noexcept { return *this == MacAddress(); }
    /// "02:00:00:00:00:01"
    [[nodiscard]] std::string to_string() const;
    /// The reverse; nothing if it is not of that form.
    [[nodiscard]] static std::optional<MacAddress> parse(std::string_view text) noexcept;

    static constexpr std::array<std::uint8_t, 6> broadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
};

} // namespace p2prdma::l2
