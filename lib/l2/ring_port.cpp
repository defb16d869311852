// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/ring_port.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>

#include <sys/mman.h>
#include <sys/socket.h>

namespace p2prdma::l2 {
namespace {

constexpr std::size_t ring_bytes = std::size_t{1024} * 1024;
constexpr std::size_t small_block = std::size_t{32} * 1024;
constexpr std::size_t before_frame = 96; // header of a slot, and what the kernel aligns behind it

/// Slots as small as the frames allow; blocks are pages that the kernel must find in one piece.
tpacket_req shape_for(std::uint32_t frame_limit) noexcept
{
    const std::size_t slot = TPACKET_ALIGN(frame_limit + before_frame);
    const auto block = std::max(small_block, std::bit_ceil(slot));
    const auto blocks = ring_bytes / block;
    return {.tp_block_size = static_cast<unsigned>(block),
            .tp_block_nr = static_cast<unsigned>(blocks),
            .tp_frame_size = static_cast<unsigned>(slot),
            .tp_frame_nr = static_cast<unsigned>(blocks * (block / slot))};
}

std::size_t bytes_of(const tpacket_req& shape) noexcept
{
    return std::size_t{shape.tp_block_size} * shape.tp_block_nr;
}

int set_ring(int socket, const tpacket_req& shape) noexcept
{
    return setsockopt(socket, SOL_PACKET, PACKET_RX_RING, &shape, sizeof shape) ? errno : 0;
}

std::atomic_ref<__u32> status(tpacket2_hdr& slot) noexcept
{
    return std::atomic_ref(slot.tp_status);
}

} // namespace

RingPort::RingPort(Interface interface, const FrameFilter& filter, std::uint32_t limit)
    : LinkPort(std::move(interface), filter, limit), socket_(this->interface(), filter)
{
    const int version = TPACKET_V2;
    if (setsockopt(socket_.fd(), SOL_PACKET, PACKET_VERSION, &version, sizeof version))
        throw system_error(errno, "cannot ask for a packet ring");
    if (const auto error = make_ring())
        throw system_error(error, "cannot make a packet ring");
    socket_.start();
}

RingPort::~RingPort()
{
    drop_ring();
}

int RingPort::make_ring() noexcept
{
    const auto limit = frame_limit();
    shape_ = shape_for(limit);
    if (const auto error = set_ring(socket_.fd(), shape_))
        return error;
    auto* mapped = mmap(nullptr, bytes_of(shape_), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, socket_.fd(), 0);
    if (mapped == MAP_FAILED) {
        const int error = errno;
        (void)set_ring(socket_.fd(), {});
        return error;
    }
    ring_ = static_cast<std::byte*>(mapped);
    slots_per_block_ = shape_.tp_block_size / shape_.tp_frame_size;
    ring_limit_ = limit;
    next_ = lent_ = 0;
    return 0;
}

void RingPort::drop_ring() noexcept
{
    if (!ring_)
        return;
    munmap(ring_, bytes_of(shape_));
    ring_ = nullptr;
    (void)set_ring(socket_.fd(), {});
}

tpacket2_hdr* RingPort::slot(std::size_t index) const noexcept
{
    auto* at = ring_ + index / slots_per_block_ * shape_.tp_block_size +
               index % slots_per_block_ * shape_.tp_frame_size;
    return reinterpret_cast<tpacket2_hdr*>(at);
}

void RingPort::give_back() noexcept
{
    auto index = (next_ + shape_.tp_frame_nr - lent_) % shape_.tp_frame_nr;
    for (; lent_; lent_--, index = (index + 1) % shape_.tp_frame_nr)
        status(*slot(index)).store(TP_STATUS_KERNEL, std::memory_order_release);
}

std::size_t RingPort::receive(std::span<std::span<const std::byte>> frames) noexcept
{
    if (ring_)
        give_back();
    if (frame_limit() > ring_limit_ || !ring_) { // the MTU has grown
        drop_ring();
        if (make_ring())
            return 0;
    }
    std::size_t taken = 0;
    while (taken < frames.size() && lent_ < shape_.tp_frame_nr) {
        auto& header = *slot(next_);
        if (!(status(header).load(std::memory_order_acquire) & TP_STATUS_USER))
            break;
        next_ = next_ + 1 == shape_.tp_frame_nr ? 0 : next_ + 1;
        lent_++;
        if (header.tp_len > header.tp_snaplen)
            truncated_++;
        else
            frames[taken++] = {reinterpret_cast<const std::byte*>(&header) + header.tp_mac,
                               header.tp_snaplen};
    }
    return taken;
}

/// Nothing else takes the error that a link leaves behind when it goes down, and fd() would tell of
/// it again and again.
void RingPort::look() noexcept
{
    LinkPort::look();
    int error = 0;
    socklen_t size = sizeof error;
    (void)getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
}

Statistics RingPort::statistics() const
{
    auto all = socket_.statistics();
    all.emplace_back("truncated", truncated_);
    return all;
}

} // namespace p2prdma::l2
