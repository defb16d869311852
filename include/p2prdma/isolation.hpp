// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/pci_address.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace p2prdma {

/// What keeps a card from reaching more of the host than it was granted, next to an adapter. It
/// matters for a card that can master addresses of its own choice: Documentation/threat-model.rst
/// says what such a card can and cannot do in each case.
struct P2PRDMA_API Isolation {
    /// From the weakest to the strongest.
    enum class Level {
        none,         ///< nothing but the card itself
        iommu_lazy,   ///< an IOMMU, which may forget a mapping some milliseconds late
        iommu_strict, ///< an IOMMU, which forgets a mapping before its memory is used again
    };

    Level level = Level::none;
    std::string reason; ///< one sentence

    /// Refuses a level below `wanted`. \throws Error not_isolated, naming the reason
    void require(Level wanted) const;
};

/// "none", "iommu-lazy" or "iommu-strict": a static string.
[[nodiscard]] P2PRDMA_API const char* to_string(Isolation::Level level) noexcept;
/// The level that to_string() writes so; nothing for another text.
[[nodiscard]] P2PRDMA_API std::optional<Isolation::Level>
parse_isolation(std::string_view text) noexcept;

/// What isolates the card at `card` next to the adapter at `adapter`: the type of the card's IOMMU
/// domain, and whom it reaches past the IOMMU: those that the kernel cannot keep apart from it (its
/// IOMMU group) and those in `direct`. `sysfs` is where sysfs is mounted. What is not there counts
/// as Level::none. Card::isolation() is the same with `direct` filled in.
[[nodiscard]] P2PRDMA_API Isolation isolation_of(const PciAddress& card, const PciAddress& adapter,
                                                 const std::vector<PciAddress>& direct,
                                                 const std::filesystem::path& sysfs = "/sys");

/// The PCI functions below the same root port as the card, without bridges and the card's own.
[[nodiscard]] P2PRDMA_API std::vector<PciAddress>
siblings_of(const PciAddress& card, const std::filesystem::path& sysfs = "/sys");

} // namespace p2prdma
