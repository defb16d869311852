// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/isolation.hpp"

#include "p2prdma/error.hpp"

#include <algorithm>
#include <fstream>
#include <vector>

namespace p2prdma {
namespace {

namespace fs = std::filesystem;
using Level = Isolation::Level;

std::string first_word(const fs::path& file)
{
    std::ifstream stream(file);
    std::string word;
    stream >> word;
    return word;
}

bool is_bridge(const fs::path& device)
{
    return first_word(device / "class").starts_with("0x0604");
}

bool same_slot(const PciAddress& a, const PciAddress& b)
{
    return a.domain == b.domain && a.bus == b.bus && a.device == b.device;
}

/// The devices in a directory that a card could harm: bridges and its own functions are none.
std::vector<PciAddress> others_in(const fs::path& directory, const PciAddress& card)
{
    std::vector<PciAddress> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) {
        const auto address = PciAddress::parse(entry.path().filename().native());
        if (address && !same_slot(*address, card) && !is_bridge(entry.path()))
            found.push_back(*address);
    }
    std::sort(found.begin(), found.end());
    return found;
}

/// The root port above a device in sysfs: /sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0/...
fs::path root_port_of(const fs::path& device)
{
    std::error_code ignored;
    fs::path port;
    for (const auto& part : fs::canonical(device, ignored)) {
        port /= part;
        if (PciAddress::parse(part.native()))
            return port;
    }
    return {};
}

Isolation shared(const PciAddress& card, const std::vector<PciAddress>& others,
                 const PciAddress& adapter)
{
    const bool with_adapter = std::find(others.begin(), others.end(), adapter) != others.end();
    const auto& other = with_adapter ? adapter : others.front();
    return {Level::none, "the card " + card.to_string() + " reaches " + other.to_string() +
                             (with_adapter ? " (the adapter)" : "") + " past the IOMMU"};
}

Isolation of_domain(const PciAddress& card, const std::string& type)
{
    const auto about = "the IOMMU domain of the card " + card.to_string();
    if (type == "DMA")
        return {Level::iommu_strict, about + " forgets mappings at once"};
    if (type == "DMA-FQ")
        return {Level::iommu_lazy,
                about + " forgets mappings late (iommu.strict=1 makes it do so at once)"};
    if (type == "identity")
        return {Level::none, about + " lets every address through (passthrough)"};
    return {Level::none, about + " is of the unknown type '" + type + "'"};
}

} // namespace

void Isolation::require(Level wanted) const
{
    if (level < wanted)
        throw Error(Errc::not_isolated, std::string("isolation ") + p2prdma::to_string(wanted) +
                                            " is demanded, but there is " +
                                            p2prdma::to_string(level) + ": " + reason);
}

const char* to_string(Isolation::Level level) noexcept
{
    switch (level) {
    case Level::iommu_strict:
        return "iommu-strict";
    case Level::iommu_lazy:
        return "iommu-lazy";
    case Level::none:
        break;
    }
    return "none";
}

std::optional<Isolation::Level> parse_isolation(std::string_view text) noexcept
{
    for (const auto level : {Level::none, Level::iommu_lazy, Level::iommu_strict})
        if (text == to_string(level))
            return level;
    return std::nullopt;
}

std::vector<PciAddress> siblings_of(const PciAddress& card, const fs::path& sysfs)
{
    const auto devices = sysfs / "bus/pci/devices";
    const auto port = root_port_of(devices / card.to_string());
    auto found = others_in(devices, card);
    std::erase_if(found, [&](const PciAddress& other) {
        return port.empty() || root_port_of(devices / other.to_string()) != port;
    });
    return found;
}

Isolation isolation_of(const PciAddress& card, const PciAddress& adapter,
                       const std::vector<PciAddress>& direct, const fs::path& sysfs)
{
    const auto group = sysfs / "bus/pci/devices" / card.to_string() / "iommu_group";
    std::error_code ignored;
    if (!fs::exists(group, ignored))
        return {Level::none, "no IOMMU translates what the card " + card.to_string() + " accesses"};
    auto others = others_in(group / "devices", card);
    others.insert(others.end(), direct.begin(), direct.end());
    if (!others.empty())
        return shared(card, others, adapter);
    return of_domain(card, first_word(group / "type"));
}

} // namespace p2prdma
