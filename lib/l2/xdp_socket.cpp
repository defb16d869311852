// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/xdp_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace p2prdma::l2 {
namespace {

constexpr std::size_t chunk = XSK_UMEM__DEFAULT_FRAME_SIZE;
constexpr std::uint32_t to_receive = 1024; // chunks; powers of two, as the rings
constexpr std::uint32_t to_send = 512;
constexpr std::size_t memory_size = chunk * (to_receive + to_send);
// The kernel releases a queue some time after its last socket was closed.
constexpr auto release_time = std::chrono::seconds(1);
constexpr unsigned most_kicks = 32; // each sends some of a full ring

/// Returns the length; 0 if the frame is too long.
std::uint32_t gather(const Outgoing& frame, std::byte* to) noexcept
{
    std::size_t length = 0;
    for (std::size_t i = 0; i < frame.count; i++) {
        const auto piece = frame.pieces[i];
        if (piece.size() > XdpSocket::frame_limit - length)
            return 0;
        std::copy(piece.begin(), piece.end(), to + length);
        length += piece.size();
    }
    return static_cast<std::uint32_t>(length);
}

} // namespace

void XdpSocket::Unmap::operator()(std::byte* memory) const noexcept
{
    munmap(memory, memory_size);
}

XdpSocket::XdpSocket(const Interface& interface, unsigned queue, bool zero_copy)
{
    lent_.reserve(to_receive);
    free_.reserve(to_send);
    make_memory();
    bind(interface, queue, zero_copy);
    for (std::uint32_t i = 0; i < to_receive; i++)
        lent_.push_back(i * chunk);
    fill(lent_);
    lent_.clear();
    for (std::uint32_t i = 0; i < to_send; i++)
        free_.push_back((to_receive + i) * chunk);
}

void XdpSocket::make_memory()
{
    auto* mapped = mmap(nullptr, memory_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (mapped == MAP_FAILED)
        throw system_error(errno, "no memory for AF_XDP frames");
    memory_.reset(static_cast<std::byte*>(mapped));
    const xsk_umem_config config = {.fill_size = to_receive,
                                    .comp_size = to_send,
                                    .frame_size = chunk,
                                    .frame_headroom = 0,
                                    .flags = 0};
    xsk_umem* umem = nullptr;
    if (const int error =
            xsk_umem__create(&umem, memory_.get(), memory_size, &fill_, &sent_, &config))
        throw system_error(-error, "cannot register memory for AF_XDP frames");
    umem_.reset(umem);
}

void XdpSocket::bind(const Interface& interface, unsigned queue, bool zero_copy)
{
    xsk_socket_config config = {};
    config.rx_size = to_receive;
    config.tx_size = to_send;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    config.xdp_flags = zero_copy ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    config.bind_flags =
        static_cast<__u16>(XDP_USE_NEED_WAKEUP | (zero_copy ? XDP_ZEROCOPY : XDP_COPY));
    const auto give_up = std::chrono::steady_clock::now() + release_time;
    xsk_socket* socket = nullptr;
    int error = 0;
    while ((error = xsk_socket__create(&socket, interface.name().c_str(), queue, umem_.get(),
                                       &received_, &send_, &config)) == -EBUSY &&
           std::chrono::steady_clock::now() < give_up)
        std::this_thread::sleep_for(release_time / 100);
    if (error)
        throw system_error(-error, "cannot bind an AF_XDP socket to queue " +
                                       std::to_string(queue) + " of " + interface.name());
    socket_.reset(socket);
}

/// The ring has room for all there are.
void XdpSocket::fill(std::span<const std::uint64_t> chunks) noexcept
{
    const auto count = static_cast<std::uint32_t>(chunks.size());
    std::uint32_t at = 0;
    if (xsk_ring_prod__reserve(&fill_, count, &at) != count)
        return;
    for (const auto address : chunks)
        *xsk_ring_prod__fill_addr(&fill_, at++) = address;
    xsk_ring_prod__submit(&fill_, count);
}

std::size_t XdpSocket::receive(std::span<std::span<const std::byte>> frames) noexcept
{
    if (!lent_.empty()) {
        fill(lent_);
        lent_.clear();
    }
    if (kick_again_)
        kick();
    std::uint32_t at = 0;
    const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(frames.size(), to_receive));
    const auto count = xsk_ring_cons__peek(&received_, most, &at);
    for (std::uint32_t i = 0; i < count; i++) {
        const auto& frame = *xsk_ring_cons__rx_desc(&received_, at + i);
        lent_.push_back(frame.addr / chunk * chunk);
        frames[i] = {memory_.get() + frame.addr, frame.len};
    }
    if (count)
        xsk_ring_cons__release(&received_, count);
    // Also when nothing has come: the driver may have run out of chunks.
    if (xsk_ring_prod__needs_wakeup(&fill_))
        (void)recvfrom(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
    return count;
}

void XdpSocket::reclaim() noexcept
{
    std::uint32_t at = 0;
    const auto count = xsk_ring_cons__peek(&sent_, to_send, &at);
    for (std::uint32_t i = 0; i < count; i++)
        free_.push_back(*xsk_ring_cons__comp_addr(&sent_, at + i));
    if (count)
        xsk_ring_cons__release(&sent_, count);
}

std::size_t XdpSocket::send(std::span<const Outgoing> frames) noexcept
{
    reclaim();
    std::uint32_t at = 0, used = 0;
    const auto count = static_cast<std::uint32_t>(std::min(frames.size(), free_.size()));
    if (!count || xsk_ring_prod__reserve(&send_, count, &at) != count) {
        kick();
        return 0;
    }
    for (std::uint32_t i = 0; i < count; i++) {
        const auto address = free_.back();
        const auto length = gather(frames[i], memory_.get() + address);
        if (!length)
            continue;
        auto& frame = *xsk_ring_prod__tx_desc(&send_, at + used++);
        frame.addr = address;
        frame.len = length;
        frame.options = 0;
        free_.pop_back();
    }
    send_.cached_prod -= count - used; // what was too long took no place
    xsk_ring_prod__submit(&send_, used);
    kick();
    return count;
}

/// The kernel takes a share at each call. What it leaves is sent by a later call of ours.
void XdpSocket::kick() noexcept
{
    kick_again_ = false;
    if (!xsk_ring_prod__needs_wakeup(&send_))
        return;
    for (unsigned i = 0; i < most_kicks; i++) {
        if (sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0)
            return;
        if (errno != EAGAIN)
            break;
    }
    kick_again_ = true;
}

XdpSocket::Counters XdpSocket::counters() const noexcept
{
    xdp_statistics counted = {};
    socklen_t size = sizeof counted;
    if (getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &counted, &size))
        return {};
    return {.dropped = counted.rx_dropped,
            .ring_full = counted.rx_ring_full,
            .no_buffer = counted.rx_fill_ring_empty_descs};
}

} // namespace p2prdma::l2
