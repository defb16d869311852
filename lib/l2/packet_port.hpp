// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/link_port.hpp"
#include "lib/l2/packet_socket.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <sys/socket.h>

namespace p2prdma::l2 {

/// AF_PACKET, many frames a system call each way: bandwidth at any MTU. Needs CAP_NET_RAW.
class PacketPort final : public LinkPort {
public:
    /// \throws Error  not permitted
    PacketPort(Interface interface, const FrameFilter& filter, std::uint32_t limit);

    [[nodiscard]] PortKind kind() const noexcept override { return PortKind::packet; }
    std::size_t send(std::span<const Outgoing> frames) noexcept override
    {
        return socket_.send(frames);
    }
    std::size_t receive(std::span<std::span<const std::byte>> frames) noexcept override;
    [[nodiscard]] int fd() const noexcept override { return socket_.fd(); }
    [[nodiscard]] Statistics statistics() const override;

private:
    void make_buffers();

    PacketSocket socket_;
    std::size_t buffer_size_ = 0; // of each
    std::unique_ptr<std::byte[]> buffers_;
    std::vector<iovec> pieces_;
    std::vector<mmsghdr> messages_;
    std::uint64_t truncated_ = 0;
};

} // namespace p2prdma::l2
