// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/frame_tap.hpp"

#include "tools/p2prdma/failure.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace p2prdma::tool {
namespace {

constexpr std::size_t tag_size = 4;
constexpr std::size_t tag_place = 12; // after the addresses
constexpr std::size_t max_frame = 65536 + 18;
constexpr int receive_room = 8 << 20;

void require(bool good, const std::string& what)
{
    if (!good)
        throw system_failure(errno, what);
}

/// Only this EtherType, also behind a tag that is still in the frame. It is set before the socket
/// is bound, so that no other frame is ever seen.
void filter(int socket, std::uint16_t ether_type)
{
    std::array<sock_filter, 6> program = {{
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ether_type, 2, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 16),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ether_type, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, max_frame),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
    const sock_fprog all = {static_cast<unsigned short>(program.size()), program.data()};
    require(::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof(all)) == 0,
            "cannot filter frames");
}

void bind_to(int socket, const std::string& interface, bool promiscuous)
{
    const auto index = ::if_nametoindex(interface.c_str());
    require(index != 0, "cannot use " + interface);
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL); // less would not show what is sent
    address.sll_ifindex = static_cast<int>(index);
    require(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0,
            "cannot listen on " + interface);
    packet_mreq membership = {};
    membership.mr_ifindex = static_cast<int>(index);
    membership.mr_type = PACKET_MR_PROMISC;
    require(!promiscuous || ::setsockopt(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership,
                                         sizeof(membership)) == 0,
            "cannot make " + interface + " promiscuous");
}

void set_options(int socket)
{
    const int yes = 1;
    ::setsockopt(socket, SOL_PACKET, PACKET_AUXDATA, &yes, sizeof(yes));
    ::setsockopt(socket, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof(yes));
    ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receive_room, sizeof(receive_room));
}

/// What comes beside a frame.
struct Beside {
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
    std::optional<std::array<std::uint16_t, 2>> tag; ///< TPID and TCI that were taken out
};

template <class T>
T read(const cmsghdr& message)
{
    T value;
    std::memcpy(&value, CMSG_DATA(&message), sizeof(value));
    return value;
}

void take_tag(const tpacket_auxdata& data, Beside& beside)
{
    if (!(data.tp_status & TP_STATUS_VLAN_VALID))
        return;
    const bool known = data.tp_status & TP_STATUS_VLAN_TPID_VALID;
    beside.tag = {known ? data.tp_vlan_tpid : std::uint16_t{ETH_P_8021Q}, data.tp_vlan_tci};
}

Beside read_beside(msghdr& message)
{
    Beside beside;
    for (auto* each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level == SOL_PACKET && each->cmsg_type == PACKET_AUXDATA)
            take_tag(read<tpacket_auxdata>(*each), beside);
        if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_TIMESTAMPNS) {
            const auto time = read<timespec>(*each);
            beside.time = std::chrono::system_clock::time_point(
                std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
        }
    }
    return beside;
}

/// Puts the tag back where it was. `frame` has room for it in front.
std::span<std::byte> with_tag(std::span<std::byte> frame, const std::array<std::uint16_t, 2>& tag)
{
    std::memmove(frame.data(), frame.data() + tag_size, tag_place);
    for (std::size_t i = 0; i < tag.size(); i++) {
        frame[tag_place + 2 * i] = static_cast<std::byte>(tag[i] >> 8);
        frame[tag_place + 2 * i + 1] = static_cast<std::byte>(tag[i]);
    }
    return frame;
}

} // namespace

FrameTap::FrameTap(const std::string& interface, std::uint16_t ether_type, bool promiscuous)
    : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      interface_(interface), buffer_(tag_size + max_frame)
{
    if (!socket_ && errno == EPERM)
        throw Failure(Exit::failed, "not_permitted",
                      "cannot listen on " + interface +
                          ": this needs cap_net_raw; give it with: setcap cap_net_raw+ep "
                          "$(command -v p2prdma)");
    require(bool(socket_), "cannot listen on " + interface);
    filter(socket_.get(), ether_type);
    set_options(socket_.get());
    bind_to(socket_.get(), interface, promiscuous);
}

std::optional<TappedFrame> FrameTap::take()
{
    const std::span<std::byte> room = std::span(buffer_).subspan(tag_size);
    sockaddr_ll from = {};
    iovec piece = {room.data(), room.size()};
    alignas(cmsghdr) std::array<std::byte, 256> control;
    msghdr message = {&from, sizeof(from), &piece, 1, control.data(), control.size(), 0};
    const auto got = ::recvmsg(socket_.get(), &message, MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENETDOWN))
        return std::nullopt;
    require(got >= 0, "cannot listen on " + interface_);
    const auto length = static_cast<std::size_t>(got);
    const auto kept = std::min(length, room.size());
    const auto beside = read_beside(message);
    const bool outgoing = from.sll_pkttype == PACKET_OUTGOING;
    if (!beside.tag || kept < tag_place)
        return TappedFrame{room.first(kept), length, beside.time, outgoing};
    return TappedFrame{with_tag(std::span(buffer_).first(kept + tag_size), *beside.tag),
                       length + tag_size, beside.time, outgoing};
}

std::uint64_t FrameTap::lost() noexcept
{
    tpacket_stats statistics = {};
    socklen_t length = sizeof(statistics);
    if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) < 0)
        return 0;
    return statistics.tp_drops;
}

} // namespace p2prdma::tool
