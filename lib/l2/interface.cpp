// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/interface.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace p2prdma::l2 {
namespace {

ifreq request_for(std::string_view name) noexcept
{
    ifreq request = {};
    name.copy(request.ifr_name, sizeof request.ifr_name - 1);
    return request;
}

int index_of(int socket, const std::string& name)
{
    auto request = request_for(name);
    if (name.empty() || name.size() >= IFNAMSIZ || ioctl(socket, SIOCGIFINDEX, &request))
        throw Error(std::error_code(ENODEV, std::system_category()),
                    "there is no interface " + name);
    return request.ifr_ifindex;
}

void require_ethernet(int socket, const std::string& name)
{
    auto request = request_for(name);
    if (ioctl(socket, SIOCGIFHWADDR, &request))
        throw system_error(errno, "cannot ask for the address of " + name);
    if (request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK)
        throw Error(Errc::unsupported, name + " is the loopback: it has no neighbours");
    if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
        throw Error(Errc::unsupported, name + " is not an Ethernet interface");
}

/// IFF_RUNNING may tell up to a second late that there is a carrier.
bool has_carrier(int socket, ifreq request) noexcept
{
    ethtool_value value = {.cmd = ETHTOOL_GLINK, .data = 0};
    request.ifr_data = reinterpret_cast<char*>(&value);
    return ioctl(socket, SIOCETHTOOL, &request) == 0 && value.data;
}

/// The attribute of a kind among those that follow one another; nullptr: there is none.
const rtattr* find(const rtattr* attribute, std::size_t length, unsigned short kind) noexcept
{
    auto left = static_cast<int>(length);
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
        if ((attribute->rta_type & NLA_TYPE_MASK) == kind)
            return attribute;
    return nullptr;
}

const rtattr* find_inside(const rtattr* outer, unsigned short kind) noexcept
{
    return outer ? find(static_cast<const rtattr*>(RTA_DATA(outer)), RTA_PAYLOAD(outer), kind)
                 : nullptr;
}

bool says(const rtattr* attribute, std::string_view text) noexcept
{
    if (!attribute)
        return false;
    const auto* data = static_cast<const char*>(RTA_DATA(attribute));
    return text == std::string_view(data, strnlen(data, RTA_PAYLOAD(attribute)));
}

/// An index of an interface; 0: none.
int number(const rtattr* attribute) noexcept
{
    int value = 0;
    if (attribute && RTA_PAYLOAD(attribute) == sizeof value)
        std::memcpy(&value, RTA_DATA(attribute), sizeof value);
    return value;
}

/// The kernel's description of a link, or an error, as one message.
class LinkMessage {
public:
    explicit LinkMessage(int index)
    {
        const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
        struct {
            nlmsghdr header;
            ifinfomsg link;
        } question = {};
        question.header = {.nlmsg_len = sizeof question,
                           .nlmsg_type = RTM_GETLINK,
                           .nlmsg_flags = NLM_F_REQUEST,
                           .nlmsg_seq = 1,
                           .nlmsg_pid = 0};
        question.link.ifi_index = index;
        if (send(socket.get(), &question, sizeof question, 0) < 0)
            throw system_error(errno, "cannot ask for a link");
        const auto got = recv(socket.get(), bytes_.data(), bytes_.size(), 0);
        if (got < 0)
            throw system_error(errno, "cannot ask for a link");
        size_ = static_cast<std::size_t>(got);
    }

    [[nodiscard]] const rtattr* attribute(unsigned short kind) const noexcept
    {
        const auto* header = reinterpret_cast<const nlmsghdr*>(bytes_.data());
        const std::size_t before = NLMSG_SPACE(sizeof(ifinfomsg));
        if (size_ < before || header->nlmsg_len > size_ || header->nlmsg_type != RTM_NEWLINK)
            return nullptr;
        return find(reinterpret_cast<const rtattr*>(bytes_.data() + before),
                    header->nlmsg_len - before, kind);
    }

private:
    alignas(nlmsghdr) std::array<char, 16384> bytes_ = {};
    std::size_t size_ = 0;
};

} // namespace

Error system_error(int error, const std::string& what)
{
    const std::error_code code(error, std::system_category());
    const auto sentence = what + ": " + code.message();
    if (error == EPERM || error == EACCES)
        return {Errc::not_permitted, sentence};
    return {code, sentence};
}

Interface::Interface(const std::string& name)
    : name_(name), socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
{
    if (!socket_)
        throw system_error(errno, "cannot open a socket");
    index_ = index_of(socket_.get(), name);
    require_ethernet(socket_.get(), name);
}

Interface::Link Interface::link() const noexcept
{
    Link link;
    ifreq request = {};
    request.ifr_ifindex = index_;
    if (ioctl(socket_.get(), SIOCGIFNAME, &request) ||
        ioctl(socket_.get(), SIOCGIFHWADDR, &request))
        return link;
    const auto* address = request.ifr_hwaddr.sa_data;
    std::copy_n(address, link.address.bytes.size(), link.address.bytes.begin());
    if (ioctl(socket_.get(), SIOCGIFMTU, &request))
        return link;
    link.mtu = static_cast<std::uint32_t>(request.ifr_mtu);
    if (ioctl(socket_.get(), SIOCGIFFLAGS, &request))
        return link;
    link.up = (request.ifr_flags & IFF_UP) &&
              ((request.ifr_flags & IFF_RUNNING) || has_carrier(socket_.get(), request));
    link.exists = true;
    return link;
}

std::string Interface::driver() const
{
    ethtool_drvinfo info = {};
    info.cmd = ETHTOOL_GDRVINFO;
    auto request = request_for(name_);
    request.ifr_data = reinterpret_cast<char*>(&info);
    if (ioctl(socket_.get(), SIOCETHTOOL, &request) || !info.driver[0])
        return "its driver";
    return {info.driver, strnlen(info.driver, sizeof info.driver)};
}

unsigned Interface::receive_queues() const noexcept
{
    ethtool_channels channels = {};
    channels.cmd = ETHTOOL_GCHANNELS;
    auto request = request_for(name_);
    request.ifr_data = reinterpret_cast<char*>(&channels);
    if (ioctl(socket_.get(), SIOCETHTOOL, &request))
        return 1;
    return std::max(1U, channels.rx_count + channels.combined_count);
}

/// The interface itself, then those that it lies on or belongs to, of which a few suffice.
bool Interface::is_bridged() const
{
    constexpr int deepest = 8;
    int index = index_;
    for (int depth = 0; index != 0 && depth < deepest; ++depth) {
        const LinkMessage message(index);
        const auto* info = message.attribute(IFLA_LINKINFO);
        const auto* kind = find_inside(info, IFLA_INFO_KIND);
        const auto* slave = find_inside(info, IFLA_INFO_SLAVE_KIND);
        for (const auto* bridge : {"bridge", "openvswitch"})
            if (says(kind, bridge) || says(slave, bridge))
                return true;
        if (says(slave, "bond") || says(slave, "team"))
            index = number(message.attribute(IFLA_MASTER));
        else if (says(kind, "vlan") || says(kind, "macvlan") || says(kind, "macvtap"))
            index = message.attribute(IFLA_LINK_NETNSID) ? 0 // of a namespace that we do not see
                                                         : number(message.attribute(IFLA_LINK));
        else
            return false;
    }
    return false;
}

} // namespace p2prdma::l2
