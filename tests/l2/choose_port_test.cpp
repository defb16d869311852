// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/choose_port.hpp"
#include "lib/l2/interface.hpp"
#include "tests/l2/veth.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include <array>
#include <functional>
#include <string>
#include <thread>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace p2prdma;
using namespace p2prdma::l2;
using namespace p2prdma::l2::test;

TEST_CASE("open_port: chooses by what the interface can do, and says why")
{
    const Veth veth;
    CHECK(open_port(Veth::a, {})->reason() == "packet: veth has no zero-copy AF_XDP");
    CHECK(open_port(Veth::a, {.vlan = 5})->reason() ==
          "packet: AF_XDP may not see the VLAN of a frame");
    CHECK(open_port(Veth::a, {.favour_latency = true})->reason() ==
          "ring: low latency was asked for");
    CHECK(open_port(Veth::a, {.port = PortKind::packet})->reason() == "packet: it was asked for");
    CHECK(open_port(Veth::a, {.lose = 0.01})->reason() ==
          "packet: veth has no zero-copy AF_XDP; 1 % of frames are lost on purpose");
}

TEST_CASE("open_port: says what is wrong with an interface")
{
    const Veth veth;
    const auto open = [](const char* name) { return open_port(name, {}); };
    CHECK_THROWS_WITH(open("nowhere"), "there is no interface nowhere");
    CHECK_THROWS_WITH(open("a-name-that-no-interface-can-have"),
                      "there is no interface a-name-that-no-interface-can-have");
    CHECK_THROWS_WITH(open("lo"), "lo is the loopback: it has no neighbours");
    Veth::ip("link set right mtu 200");
    CHECK_THROWS_WITH(open(Veth::b), "the MTU of right is 200: too small, at least 256 is needed");
    Veth::ip("link set right down");
    CHECK_THROWS_WITH(open(Veth::b), "right is down, or has no carrier");
    while (Interface(Veth::a).link().up) // the kernel tells late, but it does
        std::this_thread::yield();
    CHECK_THROWS_WITH(open(Veth::a), "left is down, or has no carrier");
    try {
        (void)open("nowhere");
    } catch (const Error& error) {
        CHECK(error.code() == std::errc::no_such_device);
    }
}

TEST_CASE("open_port: refuses options out of range")
{
    const Veth veth;
    const auto refuses = [](const DeviceOptions& options) {
        try {
            (void)open_port(Veth::a, options);
        } catch (const Error& error) {
            return error.code() == Errc::bad_argument;
        }
        return false;
    };
    CHECK(refuses({.ether_type = 0x5ff}));
    CHECK(refuses({.ether_type = 0x8100}));
    CHECK(refuses({.vlan = 0}));
    CHECK(refuses({.vlan = 4095}));
    CHECK(refuses({.lose = 1.5}));
    CHECK(refuses({.frame_limit = 255}));
}

namespace {

constexpr std::uint64_t capability(unsigned number)
{
    return std::uint64_t{1} << number;
}

/// In a thread of its own, which has these capabilities only.
void with_capabilities(std::uint64_t mask, const std::function<void()>& function)
{
    std::thread([&] {
        __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        std::array<__user_cap_data_struct, 2> data = {};
        for (std::size_t half = 0; half < 2; half++)
            data[half].effective = data[half].permitted =
                static_cast<std::uint32_t>(mask >> (32 * half));
        REQUIRE(syscall(SYS_capset, &header, data.data()) == 0);
        function();
    }).join();
}

std::unique_ptr<Port> open_port_or_nothing(PortKind kind)
{
    try {
        return open_port(Veth::a, {.port = kind});
    } catch (const Error&) {
        return nullptr;
    }
}

std::string failure_of(const DeviceOptions& options)
{
    try {
        return "none: " + open_port(Veth::a, options)->reason();
    } catch (const Error& error) {
        CHECK(error.code() == Errc::not_permitted);
        return error.what();
    }
}

} // namespace

TEST_CASE("open_port: needs CAP_NET_RAW, and no more")
{
    const Veth veth;
    // libbpf finds out once what the kernel can do, for the whole process: not without
    // capabilities.
    CHECK_NOTHROW(open_port_or_nothing(PortKind::xdp));
    with_capabilities(capability(CAP_NET_RAW), [] {
        CHECK(open_port(Veth::a, {})->kind() == PortKind::packet);
        CHECK(open_port(Veth::a, {.favour_latency = true})->kind() == PortKind::ring);
        CHECK(failure_of({.port = PortKind::xdp}) ==
              "cannot make a map for AF_XDP sockets on left (needs CAP_NET_ADMIN and CAP_BPF): "
              "Operation not permitted");
    });
    with_capabilities(0, [] {
        CHECK(failure_of({}) == "cannot open a packet socket (needs CAP_NET_RAW): "
                                "Operation not permitted");
    });
}

TEST_CASE("open_port: xdp needs CAP_NET_ADMIN and CAP_BPF besides")
{
    const Veth veth;
    (void)open_kind(PortKind::xdp, Veth::a); // or skips
    with_capabilities(capability(CAP_NET_RAW) | capability(CAP_NET_ADMIN),
                      [] { CHECK(failure_of({.port = PortKind::xdp}).starts_with("cannot")); });
}
