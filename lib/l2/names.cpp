// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/l2/device.hpp"
#include "p2prdma/l2/mac_address.hpp"
#include "p2prdma/l2/request.hpp"

#include <array>
#include <cstdio>

namespace p2prdma::l2 {
namespace {

std::optional<std::uint8_t> hex_digit(char digit) noexcept
{
    if (digit >= '0' && digit <= '9')
        return static_cast<std::uint8_t>(digit - '0');
    const char lower = static_cast<char>(digit | 0x20);
    if (lower >= 'a' && lower <= 'f')
        return static_cast<std::uint8_t>(lower - 'a' + 10);
    return std::nullopt;
}

constexpr std::array port_kinds = {"automatic", "packet", "ring", "xdp"};
constexpr std::array operations = {"send", "write", "read", "fetch-add", "compare-swap", "receive"};
constexpr std::array statuses = {"success",
                                 "local length error",
                                 "local protection error",
                                 "local page fault not resolved",
                                 "remote access refused",
                                 "remote invalid request",
                                 "remote page fault not resolved",
                                 "remote operation failed",
                                 "the peer does not answer",
                                 "the peer posted no receive",
                                 "the peer is gone",
                                 "flushed"};

} // namespace

std::string MacAddress::to_string() const
{
    std::array<char, 18> text = {};
    std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1],
                  bytes[2], bytes[3], bytes[4], bytes[5]);
    return text.data();
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) noexcept
{
    MacAddress address;
    if (text.size() != 17)
        return std::nullopt;
    for (std::size_t i = 0; i < 6; i++) {
        const auto high = hex_digit(text[3 * i]);
        const auto low = hex_digit(text[3 * i + 1]);
        if (!high || !low || (i < 5 && text[3 * i + 2] != ':'))
            return std::nullopt;
        address.bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
    }
    return address;
}

const char* to_string(PortKind kind) noexcept
{
    return port_kinds.at(static_cast<std::size_t>(kind));
}

std::optional<PortKind> parse_port_kind(std::string_view text) noexcept
{
    for (std::size_t i = 0; i < port_kinds.size(); i++)
        if (text == port_kinds[i])
            return static_cast<PortKind>(i);
    return std::nullopt;
}

const char* to_string(Operation operation) noexcept
{
    return operations.at(static_cast<std::size_t>(operation));
}

const char* to_string(Status status) noexcept
{
    return statuses.at(static_cast<std::size_t>(status));
}

} // namespace p2prdma::l2
