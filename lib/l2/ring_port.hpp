// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/link_port.hpp"
#include "lib/l2/packet_socket.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

#include <linux/if_packet.h>

namespace p2prdma::l2 {

/// AF_PACKET with a TPACKET_V2 ring: looking for frames costs no system call: latency. Needs
/// CAP_NET_RAW.
///
/// fd() stays readable until a receive() has given back the frames of the one before.
class RingPort final : public LinkPort {
public:
    /// \throws Error  not permitted, no memory for the ring
    RingPort(Interface interface, const FrameFilter& filter, std::uint32_t limit);
    ~RingPort() override;

    [[nodiscard]] PortKind kind() const noexcept override { return PortKind::ring; }
    std::size_t send(std::span<const Outgoing> frames) noexcept override
    {
        return socket_.send(frames);
    }
    std::size_t receive(std::span<std::span<const std::byte>> frames) noexcept override;
    [[nodiscard]] int fd() const noexcept override { return socket_.fd(); }
    void look() noexcept override;
    [[nodiscard]] Statistics statistics() const override;

private:
    [[nodiscard]] int make_ring() noexcept;
    void drop_ring() noexcept;
    void give_back() noexcept;
    [[nodiscard]] tpacket2_hdr* slot(std::size_t index) const noexcept;

    PacketSocket socket_;
    tpacket_req shape_ = {};
    std::uint32_t ring_limit_ = 0; // the longest frame that fits a slot
    std::byte* ring_ = nullptr;
    std::size_t slots_per_block_ = 0;
    std::size_t next_ = 0; // slot that the kernel fills next
    std::size_t lent_ = 0; // slots before it that the latest receive() gave out
    std::uint64_t truncated_ = 0;
};

} // namespace p2prdma::l2
