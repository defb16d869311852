// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/l2.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;

TEST_CASE("MacAddress: text to address and back")
{
    const auto address = MacAddress::parse("02:00:5E:00:00:fe");
    REQUIRE(address);
    CHECK(address->to_string() == "02:00:5e:00:00:fe");
    CHECK_FALSE(address->is_group());
    for (const auto* bad : {"", "02:00:5e:00:00", "02:00:5e:00:00:fg", "02-00-5e-00-00-fe",
                            "02:00:5e:00:00:fe:", "02:00:5e:00:00:f"})
        CHECK_FALSE(MacAddress::parse(bad));
}

TEST_CASE("PortKind: each has a name that leads back")
{
    for (const auto kind : {PortKind::automatic, PortKind::packet, PortKind::ring, PortKind::xdp})
        CHECK(parse_port_kind(to_string(kind)) == kind);
    CHECK_FALSE(parse_port_kind("dpdk"));
}
