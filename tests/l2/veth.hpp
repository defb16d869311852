// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/choose_port.hpp"
#include "lib/l2/port.hpp"
#include "p2prdma/error.hpp"
#include "p2prdma/unique_fd.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>

namespace p2prdma::l2::test {

/// A network namespace of the calling thread's, with a veth pair in it: what is sent on `a` comes
/// in on `b`, and the reverse. The thread is back where it was when this goes. Skips the test
/// where that is not permitted.
class Veth {
public:
    static constexpr const char* a = "left";
    static constexpr const char* b = "right";

    explicit Veth(unsigned mtu = 1500)
        : home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC))
    {
        if (unshare(CLONE_NEWNET))
            SKIP("no network namespaces here: " << std::strerror(errno));
        const auto size = " mtu " + std::to_string(mtu);
        ip(std::string("link add ") + a + size + " type veth peer name " + b + size);
        for (const auto* end : {a, b})
            ip(std::string("link set ") + end + " up");
    }
    Veth(const Veth&) = delete;
    Veth& operator=(const Veth&) = delete;
    ~Veth() { (void)setns(home_.get(), CLONE_NEWNET); }

    static void ip(const std::string& arguments)
    {
        INFO("ip " << arguments);
        REQUIRE(std::system(("ip " + arguments).c_str()) == 0);
    }

private:
    UniqueFd home_;
};

/// Skips the test where this user may not load XDP programs.
inline std::unique_ptr<Port> open_kind(PortKind kind, const char* interface,
                                       DeviceOptions options = {})
{
    options.port = kind;
    try {
        return open_port(interface, options);
    } catch (const Error& error) {
        if (kind == PortKind::xdp && error.code() == Errc::not_permitted)
            SKIP(error.what());
        throw;
    }
}

using Bytes = std::vector<std::byte>;

inline Bytes make_frame(const MacAddress& to, const MacAddress& from, std::size_t size,
                        unsigned number = 0, std::uint16_t ether_type = 0x88b5,
                        std::uint16_t vlan = 0)
{
    Bytes frame;
    const auto append = [&](const void* data, std::size_t length) {
        const auto* bytes = static_cast<const std::byte*>(data);
        frame.insert(frame.end(), bytes, bytes + length);
    };
    const auto append16 = [&](unsigned value) {
        const std::array both = {static_cast<std::byte>(value >> 8), static_cast<std::byte>(value)};
        append(both.data(), both.size());
    };
    append(to.bytes.data(), 6);
    append(from.bytes.data(), 6);
    if (vlan) {
        append16(0x8100);
        append16(vlan);
    }
    append16(ether_type);
    append(&number, sizeof number);
    for (std::size_t i = frame.size(); i < size; i++)
        frame.push_back(static_cast<std::byte>(i * 7 + number));
    return frame;
}

/// In three pieces, as the engine does.
inline bool send_frame(Port& port, const Bytes& frame)
{
    const auto bytes = std::span(frame);
    const auto middle = bytes.size() / 2;
    const Outgoing outgoing = {
        .pieces = {bytes.first(14), bytes.subspan(14, middle - 14), bytes.subspan(middle)},
        .count = 3};
    return port.send({&outgoing, 1}) == 1;
}

/// What comes within the time, until there are `count`.
inline std::vector<Bytes> receive_frames(Port& port, std::size_t count,
                                         std::chrono::milliseconds most = std::chrono::seconds(5))
{
    const auto until = std::chrono::steady_clock::now() + most;
    std::vector<Bytes> all;
    std::array<std::span<const std::byte>, 64> frames;
    while (all.size() < count) {
        const auto taken = port.receive(frames);
        for (std::size_t i = 0; i < taken; i++)
            all.emplace_back(frames[i].begin(), frames[i].end());
        if (taken)
            continue;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        pollfd readable = {.fd = port.fd(), .events = POLLIN, .revents = 0};
        if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) == 0)
            break;
    }
    return all;
}

/// What is there: frames on a veth have arrived when send() returns.
inline std::vector<Bytes> receive_all(Port& port)
{
    return receive_frames(port, SIZE_MAX, std::chrono::milliseconds(1));
}

} // namespace p2prdma::l2::test
