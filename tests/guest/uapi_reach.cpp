// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// uapi_reach DOMAIN:BUS:DEVICE.FUNCTION: prints what P2PRDMA_REACH says of that PCI function, for
// scenarios to compare with the topology.

#include "tests/guest/uapi_card.hpp"

#include <cstdio>
#include <cstring>

namespace {

void print(const char* name, const p2prdma_pci_addr& at)
{
    std::printf("%s=%04x:%02x:%02x.%x ", name, at.domain, at.bus, at.devfn >> 3, at.devfn & 7);
}

int query(p2prdma_query_reach& reach)
{
    reach.size = sizeof(reach);
    return uapi::call(uapi::open_card(O_RDONLY), P2PRDMA_REACH, &reach);
}

} // namespace

int main(int argc, char** argv)
{
    unsigned domain = 0, bus = 0, device = 0, function = 0;
    if (argc != 2 || std::sscanf(argv[1], "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4) {
        std::fprintf(stderr, "usage: uapi_reach DOMAIN:BUS:DEVICE.FUNCTION\n");
        return 2;
    }
    p2prdma_query_reach reach = {};
    reach.peer = {domain, static_cast<__u16>(bus), static_cast<__u16>(device << 3 | function)};
    if (const int error = query(reach)) {
        std::fprintf(stderr, "uapi_reach: %s\n", std::strerror(error));
        return 1;
    }
    std::printf("reach=%u distance=%d ", reach.reach, reach.distance);
    print("card_port", reach.card_port);
    print("peer_port", reach.peer_port);
    print("common", reach.common);
    std::printf("host=%04x:%04x\n", reach.host_vendor, reach.host_device);
    return 0;
}
