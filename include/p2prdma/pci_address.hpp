// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct ibv_device;

namespace p2prdma {

/// Where a PCI function is: domain:bus:device.function.
struct P2PRDMA_API PciAddress {
    std::uint32_t domain = 0;
    std::uint8_t bus = 0;
    std::uint8_t device = 0;   ///< 0 to 31
    std::uint8_t function = 0; ///< 0 to 7

    /// Reads "0000:03:00.0" or, for domain 0, "03:00.0" (hexadecimal); nothing if it is neither.
    [[nodiscard]] static std::optional<PciAddress> parse(std::string_view text) noexcept;
    /// "0000:03:00.0", as lspci -D and sysfs write it.
    [[nodiscard]] std::string to_string() const;

    // clang-tidy 14 takes the 0 that a rewritten comparison compares with for a pointer.
    // NOLINTNEXTLINE(modernize-use-nullptr)
    friend auto operator<=>(const PciAddress&, const PciAddress&) = default;
};

/// Where an RDMA device is; nothing if it has no PCI function, such as one of rxe.
[[nodiscard]] P2PRDMA_API std::optional<PciAddress> pci_address_of(const ibv_device& adapter);

} // namespace p2prdma
