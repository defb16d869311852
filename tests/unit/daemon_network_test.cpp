// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/refusal.hpp"
#include "tools/p2prdmad/tcp_network.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cerrno>
#include <functional>

#include <poll.h>
#include <unistd.h>

using namespace p2prdma::daemon;

namespace {

/// A port of this process's, so that two of them can run at once.
std::uint16_t port(unsigned offset = 0)
{
    return static_cast<std::uint16_t>(20000 + ::getpid() % 10000 * 2 + offset);
}

/// Waits until poll() says that it is ready, at most 10 s at a time.
void wait(const Stream& stream)
{
    pollfd watched = {stream.fd(), stream.events(), 0};
    REQUIRE(::poll(&watched, 1, 10000) == 1);
}

std::shared_ptr<Stream> connected(std::shared_ptr<Stream> stream)
{
    while (!stream->connected())
        wait(*stream);
    return stream;
}

int error_of(const std::function<void()>& action)
{
    try {
        action();
    } catch (const Refusal& refusal) {
        return refusal.error();
    }
    return 0;
}

} // namespace

TEST_CASE("daemon: two streams over TCP, without ever waiting")
{
    TcpNetwork network({});
    const auto listener = network.listen(port());
    CHECK_FALSE(listener->accept());
    for (const char* host : {"127.0.0.1", "localhost"}) {
        const auto out = connected(network.connect(host, port()));
        wait(*listener);
        const auto in = listener->accept();
        REQUIRE(in);
        std::array<std::byte, 8> bytes = {std::byte(1), std::byte(2)};
        CHECK_FALSE(in->receive(bytes));
        CHECK(out->send(std::span(bytes).first(2)) == 2u);
        wait(*in);
        std::array<std::byte, 8> got = {};
        CHECK(in->receive(got) == 2u);
        CHECK(got == bytes);
        out->shutdown();
        wait(*in);
        CHECK(in->receive(got) == 0u);
    }
}

TEST_CASE("daemon: a stream that is full takes what fits")
{
    TcpNetwork network({});
    const auto listener = network.listen(port());
    const auto out = connected(network.connect("127.0.0.1", port()));
    const std::vector<std::byte> much(1 << 20);
    std::size_t sent = 0;
    while (const auto taken = out->send(much)) {
        sent += *taken;
        REQUIRE(sent < (1u << 30));
    }
    CHECK(sent > 0);
}

TEST_CASE("daemon: who cannot be reached is told")
{
    TcpNetwork network({});
    CHECK(error_of([&] { connected(network.connect("127.0.0.1", port(1))); }) == ECONNREFUSED);
    CHECK(error_of([&] { connected(network.connect("no-such-host.invalid", port())); }) ==
          EHOSTUNREACH);
    const auto listener = network.listen(port());
    CHECK(error_of([&] { static_cast<void>(network.listen(port())); }) == EADDRINUSE);
}

TEST_CASE("daemon: the policy says which ports and peers")
{
    const std::uint16_t first = port();
    TcpNetwork network({.listen = {{first, first}}, .peers = {"127.0.0.2"}});
    const auto listener = network.listen(first);
    CHECK(error_of([&] { static_cast<void>(network.listen(port(1))); }) == EOPNOTSUPP);
    CHECK(error_of([&] { connected(network.connect("127.0.0.1", first)); }) == EOPNOTSUPP);
    CHECK(connected(network.connect("127.0.0.2", first)));
}
