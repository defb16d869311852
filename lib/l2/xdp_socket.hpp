// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/interface.hpp"
#include "lib/l2/port.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <xdp/xsk.h>

namespace p2prdma::l2 {

/// An AF_XDP socket of one receive queue, with memory of its own for the frames.
///
/// Thread-safety: one thread at a time.
class XdpSocket {
public:
    /// The longest frame: what the kernel leaves of a chunk.
    static constexpr std::uint32_t frame_limit = 4096 - 256;

    /// \throws Error  the driver grants no zero-copy, the queue has another socket
    XdpSocket(const Interface& interface, unsigned queue, bool zero_copy);
    XdpSocket(const XdpSocket&) = delete; // its rings are known by their addresses
    XdpSocket& operator=(const XdpSocket&) = delete;
    ~XdpSocket() = default;

    [[nodiscard]] int fd() const noexcept { return xsk_socket__fd(socket_.get()); }
    std::size_t send(std::span<const Outgoing> frames) noexcept; ///< as Port::send()
    /// As Port::receive(); first gives back the frames of the call before.
    std::size_t receive(std::span<std::span<const std::byte>> frames) noexcept;
    /// Adds to `dropped`, `ring_full`, `no_buffer` what the kernel counted.
    struct Counters {
        std::uint64_t dropped = 0, ring_full = 0, no_buffer = 0;
    };
    [[nodiscard]] Counters counters() const noexcept;

private:
    struct Unmap {
        void operator()(std::byte* memory) const noexcept;
    };
    struct Close {
        void operator()(xsk_umem* umem) const noexcept { xsk_umem__delete(umem); }
        void operator()(xsk_socket* socket) const noexcept { xsk_socket__delete(socket); }
    };

    void make_memory();
    void bind(const Interface& interface, unsigned queue, bool zero_copy);
    void fill(std::span<const std::uint64_t> chunks) noexcept;
    void reclaim() noexcept;
    void kick() noexcept;

    // Order of destruction: the socket, then what it uses.
    std::unique_ptr<std::byte[], Unmap> memory_;
    xsk_ring_prod fill_ = {}, send_ = {};
    xsk_ring_cons sent_ = {}, received_ = {};
    std::unique_ptr<xsk_umem, Close> umem_;
    std::unique_ptr<xsk_socket, Close> socket_;
    std::vector<std::uint64_t> lent_; // chunks that the latest receive() gave out
    std::vector<std::uint64_t> free_; // chunks to send from
    bool kick_again_ = false;
};

} // namespace p2prdma::l2
