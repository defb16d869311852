// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/xdp_port.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/epoll.h>

namespace p2prdma::l2 {
namespace {

std::uint32_t at_most_a_chunk(std::uint32_t limit) noexcept
{
    return limit ? std::min(limit, XdpSocket::frame_limit) : XdpSocket::frame_limit;
}

} // namespace

XdpPort::XdpPort(Interface interface, const FrameFilter& filter, std::uint32_t limit,
                 bool zero_copy)
    : LinkPort(std::move(interface), filter, at_most_a_chunk(limit)),
      program_(this->interface(), filter, address(), zero_copy)
{
    const auto queues = this->interface().receive_queues();
    for (unsigned queue = 0; queue < queues; queue++) {
        sockets_.emplace_back(this->interface(), queue, zero_copy);
        program_.give_queue_to(queue, sockets_.back().fd());
    }
    if (queues > 1)
        watch_all();
}

void XdpPort::watch_all()
{
    any_.reset(epoll_create1(EPOLL_CLOEXEC));
    for (const auto& socket : sockets_) {
        epoll_event readable = {.events = EPOLLIN, .data = {}};
        if (!any_ || epoll_ctl(any_.get(), EPOLL_CTL_ADD, socket.fd(), &readable))
            throw system_error(errno, "cannot watch AF_XDP sockets");
    }
}

int XdpPort::fd() const noexcept
{
    return any_ ? any_.get() : sockets_.front().fd();
}

std::size_t XdpPort::send(std::span<const Outgoing> frames) noexcept
{
    return sockets_.front().send(frames);
}

std::size_t XdpPort::receive(std::span<std::span<const std::byte>> frames) noexcept
{
    std::size_t taken = 0;
    for (auto& socket : sockets_) // also without room: each takes back what it lent
        taken += socket.receive(frames.subspan(taken));
    return taken;
}

void XdpPort::look() noexcept
{
    const auto before = address();
    LinkPort::look();
    if (address() != before && !address().is_zero())
        program_failures_ += program_.change_address(address()) != 0;
}

Statistics XdpPort::statistics() const
{
    XdpSocket::Counters all;
    for (const auto& socket : sockets_) {
        const auto one = socket.counters();
        all.dropped += one.dropped;
        all.ring_full += one.ring_full;
        all.no_buffer += one.no_buffer;
    }
    return {{"kernel_dropped", all.dropped},
            {"ring_full", all.ring_full},
            {"no_buffer", all.no_buffer},
            {"program_failures", program_failures_}};
}

} // namespace p2prdma::l2
