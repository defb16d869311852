// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <p2prdma/error.hpp>
#include <p2prdma/l2/mac_address.hpp>
#include <p2prdma/unique_fd.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

inline void require(bool met, const std::string& what)
{
    if (!met)
        throw p2prdma::Error(std::error_code(errno, std::system_category()),
                             what + ": " + std::strerror(errno));
}

/// Two network namespaces of this process's, joined by a veth pair; what is opened inside enter()
/// stays where it was opened. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
class Segment {
public:
    static constexpr const char* interface = "eth0";
    static constexpr std::array addresses = {"10.88.0.1", "10.88.0.2"};
    static constexpr std::array macs = {"02:00:00:00:00:01", "02:00:00:00:00:02"};

    Segment()
    {
        spaces_[1] = make_space();
        spaces_[0] = make_space(); // this thread is in it from now on
        const auto other = "/proc/self/fd/" + std::to_string(spaces_[1].get());
        ip("link add " + std::string(interface) + " type veth peer name " + interface + " netns " +
           other);
        for (std::size_t end = 0; end < 2; end++)
            enter(end, [end] { configure(end); });
    }

    [[nodiscard]] static p2prdma::l2::MacAddress mac(std::size_t end)
    {
        return *p2prdma::l2::MacAddress::parse(macs[end]);
    }

    template <class Function>
    std::invoke_result_t<Function> enter(std::size_t end, Function function)
    {
        const Back back{spaces_[0]};
        require(setns(spaces_[end].get(), CLONE_NEWNET) == 0, "entering a network namespace");
        return function();
    }

    void set_mtu(unsigned mtu)
    {
        for (std::size_t end = 0; end < 2; end++)
            enter(end, [mtu] {
                ip(std::string("link set ") + interface + " mtu " + std::to_string(mtu));
            });
    }

    /// Segmentation by the device, which a veth leaves to nobody: TCP's frames of 64 KiB.
    void set_segmentation(bool on)
    {
        for (std::size_t end = 0; end < 2; end++)
            enter(end, [on] {
                for (const std::uint32_t what : {ETHTOOL_STSO, ETHTOOL_SGSO})
                    set_offload(what, on);
            });
    }

private:
    struct Back {
        const p2prdma::UniqueFd& space;
        ~Back() { (void)setns(space.get(), CLONE_NEWNET); }
    };

    static p2prdma::UniqueFd make_space()
    {
        require(unshare(CLONE_NEWNET) == 0, "making a network namespace");
        p2prdma::UniqueFd space(open("/proc/thread-self/ns/net", O_RDONLY)); // ip inherits it
        require(static_cast<bool>(space), "opening a network namespace");
        return space;
    }

    static void ip(const std::string& arguments)
    {
        errno = 0;
        require(std::system(("ip " + arguments).c_str()) == 0, "ip " + arguments);
    }

    static void configure(std::size_t end)
    {
        const std::string link = std::string("link set ") + interface;
        ip(link + " addrgenmode none address " + macs[end]);
        ip(link + " up");
        ip("address add " + std::string(addresses[end]) + "/24 dev " + interface);
        ip("neighbour replace " + std::string(addresses[1 - end]) + " lladdr " + macs[1 - end] +
           " dev " + interface);
    }

    static void set_offload(std::uint32_t what, bool on)
    {
        const p2prdma::UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ethtool_value value = {.cmd = what, .data = on};
        ifreq request = {};
        std::strcpy(request.ifr_name, interface);
        request.ifr_data = reinterpret_cast<char*>(&value);
        require(ioctl(any.get(), SIOCETHTOOL, &request) == 0, "setting an offload");
    }

    std::array<p2prdma::UniqueFd, 2> spaces_;
};

} // namespace bench
