// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/xdp_port.hpp"
#include "tests/l2/veth.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>

#include <sys/wait.h>
#include <unistd.h>

using namespace p2prdma;
using namespace p2prdma::l2;
using namespace p2prdma::l2::test;

namespace {

/// In a child process: tells by a byte that it has opened it.
[[noreturn]] void hold_port_until_killed(int tell)
{
    try {
        const auto port = open_port(Veth::b, {.port = PortKind::xdp});
        (void)!write(tell, "x", 1);
        pause();
    } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
    }
    _exit(1);
}

} // namespace

TEST_CASE("XdpPort: frames as long as a chunk takes, on an MTU beyond")
{
    const Veth veth(9000);
    const auto a = open_kind(PortKind::xdp, Veth::a);
    const auto b = open_kind(PortKind::xdp, Veth::b);
    const auto longest = make_frame(b->address(), a->address(), a->frame_limit());
    CHECK(send_frame(*a, make_frame(b->address(), a->address(), a->frame_limit() + 1)));
    CHECK(send_frame(*a, longest));
    CHECK(receive_frames(*b, 1) == std::vector<Bytes>{longest});
}

TEST_CASE("XdpPort: its program is there only while it is")
{
    const Veth veth;
    const Interface b(Veth::b);
    CHECK_FALSE(xdp_state(b).occupied);
    auto port = open_kind(PortKind::xdp, Veth::b);
    CHECK(xdp_state(b).occupied);
    CHECK(xdp_state(b).program == "p2prdma_l2");
    port.reset();
    CHECK_FALSE(xdp_state(b).occupied);
}

TEST_CASE("XdpPort: a process that dies leaves no program behind")
{
    const Veth veth;
    const Interface b(Veth::b);
    (void)open_kind(PortKind::xdp, Veth::b);
    std::array<int, 2> opened = {};
    REQUIRE(pipe(opened.data()) == 0);
    const auto child = fork();
    if (child == 0)
        hold_port_until_killed(opened[1]);
    char byte = 0;
    close(opened[1]);
    REQUIRE(read(opened[0], &byte, 1) == 1);
    close(opened[0]);
    CHECK(xdp_state(b).occupied);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    CHECK_FALSE(xdp_state(b).occupied);
}

TEST_CASE("XdpPort: an interface with another program is refused, and that one is named")
{
    const Veth veth;
    const auto first = open_kind(PortKind::xdp, Veth::b);
    CHECK_THROWS_WITH(open_port(Veth::b, {.port = PortKind::xdp}),
                      "right already has the XDP program p2prdma_l2");
    CHECK(xdp_state(Interface(Veth::b)).occupied); // the refused one detached nothing
}
