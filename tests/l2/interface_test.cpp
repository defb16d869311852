// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/interface.hpp"
#include "tests/l2/veth.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma;
using namespace p2prdma::l2;
using namespace p2prdma::l2::test;

TEST_CASE("Interface: knows whether it is bridged")
{
    const Veth veth;
    CHECK_FALSE(Interface(Veth::a).is_bridged());
    Veth::ip("link add bridge type bridge");
    Veth::ip("link set left master bridge");
    CHECK(Interface(Veth::a).is_bridged());
    CHECK(Interface("bridge").is_bridged());
    CHECK_FALSE(Interface(Veth::b).is_bridged());
}

TEST_CASE("Interface: knows whether what it lies on, or belongs to, is bridged")
{
    const Veth veth;
    Veth::ip("link add bridge type bridge");
    const auto made = [](const std::string& link) {
        return std::system(("ip link add " + link + " 2>/dev/null").c_str()) == 0;
    };
    if (made("link bridge name tagged type vlan id 7"))
        CHECK(Interface("tagged").is_bridged());
    if (made("link left name aside type vlan id 7")) {
        CHECK_FALSE(Interface("aside").is_bridged());
        Veth::ip("link set aside master bridge");
        CHECK(Interface("aside").is_bridged());
        Veth::ip("link set aside nomaster");
    }
    if (made("both type bond")) {
        Veth::ip("link set right down");
        Veth::ip("link set right master both");
        CHECK_FALSE(Interface(Veth::b).is_bridged());
        Veth::ip("link set both master bridge");
        CHECK(Interface("both").is_bridged());
        CHECK(Interface(Veth::b).is_bridged());
    }
    if (made("link left name own type macvlan mode private"))
        CHECK_FALSE(Interface("own").is_bridged());
    if (made("link bridge name other type macvlan mode private"))
        CHECK(Interface("other").is_bridged());
}

TEST_CASE("Interface: is followed when it is renamed")
{
    const Veth veth;
    const Interface a(Veth::a);
    const auto before = a.link();
    Veth::ip("link set left down");
    CHECK_FALSE(a.link().up);
    CHECK(a.link().exists);
    Veth::ip("link set left name other");
    Veth::ip("link set other up");
    CHECK(a.link().address == before.address);
    CHECK(a.link().up);
    CHECK(a.link().mtu == 1500);
    Veth::ip("link delete other");
    CHECK_FALSE(a.link().exists);
}
