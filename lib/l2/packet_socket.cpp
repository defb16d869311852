// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/packet_socket.hpp"

#include <algorithm>
#include <cerrno>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

namespace p2prdma::l2 {
namespace {

constexpr int receive_buffer = 16 * 1024 * 1024;
constexpr int send_buffer = 2 * 1024 * 1024;

constexpr sock_filter load(int what) noexcept
{
    return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + what));
}

constexpr sock_filter skip_unless_equal(std::uint32_t value, std::uint8_t instructions) noexcept
{
    return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, instructions);
}

template <class T>
bool set(int socket, int level, int name, const T& value) noexcept
{
    return setsockopt(socket, level, name, &value, sizeof value) == 0;
}

/// The kernel takes a tag out of the frame before it gets here.
void attach_filter(int socket, const FrameFilter& filter)
{
    std::array<sock_filter, 9> program = {{
        load(SKF_AD_PKTTYPE),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PACKET_OTHERHOST, 6, 0),
        load(SKF_AD_PROTOCOL),
        skip_unless_equal(filter.ether_type, 4),
        load(SKF_AD_VLAN_TAG), // 0 without a tag
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),
        skip_unless_equal(filter.vlan.value_or(0), 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
    const sock_fprog attached = {.len = static_cast<unsigned short>(program.size()),
                                 .filter = program.data()};
    if (!set(socket, SOL_SOCKET, SO_ATTACH_FILTER, attached))
        throw system_error(errno, "cannot attach a packet filter");
}

/// As much as the administrator allows, or more with CAP_NET_ADMIN.
void set_buffers(int socket) noexcept
{
    if (!set(socket, SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer))
        set(socket, SOL_SOCKET, SO_RCVBUF, receive_buffer);
    if (!set(socket, SOL_SOCKET, SO_SNDBUFFORCE, send_buffer))
        set(socket, SOL_SOCKET, SO_SNDBUF, send_buffer);
}

} // namespace

PacketSocket::PacketSocket(const Interface& interface, const FrameFilter& filter)
    : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      interface_(interface.index()), filter_(filter)
{
    if (!socket_)
        throw system_error(errno, "cannot open a packet socket (needs CAP_NET_RAW)");
    attach_filter(socket_.get(), filter);
    if (!set(socket_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, 1))
        throw system_error(errno, "cannot tell a packet socket to ignore its own frames");
    set_buffers(socket_.get());
    for (std::size_t i = 0; i < batch; i++)
        messages_[i].msg_hdr.msg_iov = pieces_[i].data();
}

void PacketSocket::start()
{
    // Who is bound to one protocol does not see tags, and costs other traffic nothing.
    const std::uint16_t protocol = filter_.vlan ? ETH_P_ALL : filter_.ether_type;
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = interface_;
    if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address))
        throw system_error(errno, "cannot bind a packet socket");
}

std::size_t PacketSocket::send(std::span<const Outgoing> frames) noexcept
{
    std::size_t sent = 0;
    while (sent < frames.size()) {
        const auto now = frames.subspan(sent, std::min(batch, frames.size() - sent));
        const auto taken = send_batch(now);
        sent += taken;
        if (taken == now.size())
            continue;
        // Short: the next one tells why.
        if (taken == 0 && !is_lost(errno))
            break;
        sent += taken == 0;
    }
    return sent;
}

std::size_t PacketSocket::send_batch(std::span<const Outgoing> frames) noexcept
{
    for (std::size_t i = 0; i < frames.size(); i++) {
        const auto& frame = frames[i];
        messages_[i].msg_hdr.msg_iovlen = frame.count;
        for (std::size_t piece = 0; piece < frame.count; piece++)
            pieces_[i][piece] = {const_cast<std::byte*>(frame.pieces[piece].data()),
                                 frame.pieces[piece].size()};
    }
    if (frames.size() == 1) // the shorter way into the kernel
        return sendmsg(socket_.get(), &messages_[0].msg_hdr, MSG_DONTWAIT) < 0 ? 0 : 1;
    const auto count = sendmmsg(socket_.get(), messages_.data(),
                                static_cast<unsigned>(frames.size()), MSG_DONTWAIT);
    return count < 0 ? 0 : static_cast<std::size_t>(count);
}

/// Whether a frame was refused for what it is; else the link or the kernel has no room for any.
bool PacketSocket::is_lost(int error) noexcept
{
    switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case ENETDOWN:
    case ENXIO:
    case ENODEV:
    case EINTR:
        return false;
    default:
        refused_++;
        return true;
    }
}

Statistics PacketSocket::statistics() const
{
    tpacket_stats latest = {};
    socklen_t size = sizeof latest;
    if (getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &latest, &size) == 0)
        dropped_ += latest.tp_drops;
    return {{"kernel_dropped", dropped_}, {"send_refused", refused_}};
}

} // namespace p2prdma::l2
