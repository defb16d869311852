// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/link_port.hpp"
#include "lib/l2/xdp_program.hpp"
#include "lib/l2/xdp_socket.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

namespace p2prdma::l2 {

/// AF_XDP on all receive queues of an interface. Frames are at most XdpSocket::frame_limit long,
/// whatever the MTU. Needs CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF.
class XdpPort final : public LinkPort {
public:
    /// \param zero_copy  with the program in the driver; else copied, behind the driver
    /// \throws Error  not permitted, another XDP program is attached, the driver cannot
    XdpPort(Interface interface, const FrameFilter& filter, std::uint32_t limit, bool zero_copy);

    [[nodiscard]] PortKind kind() const noexcept override { return PortKind::xdp; }
    std::size_t send(std::span<const Outgoing> frames) noexcept override;
    std::size_t receive(std::span<std::span<const std::byte>> frames) noexcept override;
    [[nodiscard]] int fd() const noexcept override;
    void look() noexcept override;
    [[nodiscard]] Statistics statistics() const override;

private:
    void watch_all();

    XdpProgram program_;
    std::deque<XdpSocket> sockets_; // one for each queue
    UniqueFd any_;                  // epoll, if there are several
    std::uint64_t program_failures_ = 0;
};

} // namespace p2prdma::l2
