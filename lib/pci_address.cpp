// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/pci_address.hpp"

#include <charconv>
#include <cstdio>
#include <filesystem>

#include <infiniband/verbs.h>

namespace p2prdma {
namespace {

/// Takes a hexadecimal number of 1 to `digits` digits and what ends it (0: the end) off `text`.
std::optional<std::uint32_t> take(std::string_view& text, std::size_t digits, char end) noexcept
{
    const std::size_t length = end ? text.find(end) : text.size();
    if (length == 0 || length > digits || length > text.size())
        return std::nullopt;
    std::uint32_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + length, value, 16);
    if (error != std::errc() || stop != text.data() + length)
        return std::nullopt;
    text.remove_prefix(length + (end ? 1 : 0));
    return value;
}

std::optional<std::uint32_t> take_domain(std::string_view& text) noexcept
{
    return text.find(':') == text.rfind(':') ? 0 : take(text, 8, ':');
}

} // namespace

std::optional<PciAddress> PciAddress::parse(std::string_view text) noexcept
{
    const auto domain = take_domain(text);
    const auto bus = take(text, 2, ':');
    const auto device = bus ? take(text, 2, '.') : std::nullopt;
    const auto function = device ? take(text, 1, '\0') : std::nullopt;
    if (!domain || !function || *device > 31 || *function > 7)
        return std::nullopt;
    return PciAddress{*domain, static_cast<std::uint8_t>(*bus), static_cast<std::uint8_t>(*device),
                      static_cast<std::uint8_t>(*function)};
}

std::string PciAddress::to_string() const
{
    char text[32];
    std::snprintf(text, sizeof(text), "%04x:%02x:%02x.%x", domain, bus, device, function);
    return text;
}

std::optional<PciAddress> pci_address_of(const ibv_device& adapter)
{
    std::error_code ignored; // a device without a parent has no such link
    const auto parent = std::filesystem::read_symlink(
        std::filesystem::path(adapter.ibdev_path) / "device", ignored);
    return PciAddress::parse(parent.filename().native());
}

} // namespace p2prdma
