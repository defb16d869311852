// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/describe.hpp"

#include <cstdio>

namespace p2prdma::tool {
namespace {

std::string ids(const CardInfo& info)
{
    char text[16];
    std::snprintf(text, sizeof(text), "%04x:%04x", info.vendor, info.device);
    return text;
}

Json capabilities(const CardInfo& info)
{
    Json names = Json::array();
    if (info.has_memory)
        names.push_back("memory");
    if (info.has_p2pdma)
        names.push_back("p2pdma");
    if (info.has_revoke)
        names.push_back("revoke");
    if (info.has_doorbells)
        names.push_back("doorbell");
    if (info.has_windows)
        names.push_back("window");
    if (info.has_bells)
        names.push_back("bell");
    if (info.has_control)
        names.push_back("control");
    return names;
}

std::string hexadecimal(std::uint64_t number)
{
    char text[17];
    std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(number));
    return text;
}

const char* name_of(LocalCardInfo::State state)
{
    switch (state) {
    case LocalCardInfo::State::alone:
        return "alone";
    case LocalCardInfo::State::served:
        return "served";
    case LocalCardInfo::State::foreign:
        return "foreign";
    }
    return "unknown";
}

} // namespace

Json describe(unsigned number, const CardInfo& info)
{
    return {{"card", number},
            {"path", "/dev/p2prdma/card" + std::to_string(number)},
            {"pci", info.address.to_string()},
            {"ids", ids(info)},
            {"driver", info.driver},
            {"numa_node", info.numa_node},
            {"mem_size", info.mem_size},
            {"mem_free", info.mem_free},
            {"mem_largest_free", info.mem_largest_free},
            {"mem_granule", info.mem_granule},
            {"capabilities", capabilities(info)},
            {"abi_version", info.abi_version}};
}

Json describe(unsigned number, const LocalCardInfo& info)
{
    return {{"local", number},
            {"path", "/dev/p2prdma/local" + std::to_string(number)},
            {"serial", hexadecimal(info.serial)},
            {"state", name_of(info.state)},
            {"epoch", info.epoch},
            {"mem_size", info.pool_size},
            {"windows", info.windows},
            {"doorbells", info.doorbells},
            {"pool", info.pool.to_string()},
            {"aperture", info.aperture.to_string()},
            {"abi_version", info.abi_version}};
}

Json describe(const Adapter::Entry& adapter)
{
    return {{"device", adapter.name},
            {"pci", adapter.pci ? Json(adapter.pci->to_string()) : Json()},
            {"transport", name_of(adapter.transport)},
            {"active", adapter.active}};
}

Json describe(const Reach& reach)
{
    return {{"device", reach.peer_name},
            {"reach", p2prdma::to_string(reach.kind)},
            {"reachable", reach.reachable()},
            {"distance", reach.distance},
            {"explain", reach.explain()}};
}

Json describe(const Isolation& isolation)
{
    return {{"level", p2prdma::to_string(isolation.level)}, {"reason", isolation.reason}};
}

} // namespace p2prdma::tool
