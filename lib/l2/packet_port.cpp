// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/packet_port.hpp"

#include <algorithm>

namespace p2prdma::l2 {
namespace {

constexpr std::size_t cached =
    std::size_t{256} * 1024; // bytes of buffers that stay near the processor
constexpr std::size_t line = 64;

} // namespace

PacketPort::PacketPort(Interface interface, const FrameFilter& filter, std::uint32_t limit)
    : LinkPort(std::move(interface), filter, limit), socket_(this->interface(), filter)
{
    make_buffers();
    socket_.start();
}

void PacketPort::make_buffers()
{
    const std::size_t size = (frame_limit() + line - 1) / line * line;
    const auto count = std::clamp<std::size_t>(cached / size, 4, PacketSocket::batch);
    auto buffers = std::make_unique_for_overwrite<std::byte[]>(size * count);
    pieces_.resize(count);
    messages_.assign(count, {});
    for (std::size_t i = 0; i < count; i++) {
        pieces_[i] = {buffers.get() + i * size, size};
        messages_[i].msg_hdr.msg_iov = &pieces_[i];
        messages_[i].msg_hdr.msg_iovlen = 1;
    }
    buffers_ = std::move(buffers);
    buffer_size_ = size;
}

std::size_t PacketPort::receive(std::span<std::span<const std::byte>> frames) noexcept
{
    if (frame_limit() > buffer_size_) // the MTU has grown
        make_buffers();
    const auto most = static_cast<unsigned>(std::min(frames.size(), messages_.size()));
    const auto count = recvmmsg(socket_.fd(), messages_.data(), most, MSG_DONTWAIT, nullptr);
    std::size_t taken = 0;
    for (int i = 0; i < count; i++) {
        if (messages_[i].msg_hdr.msg_flags & MSG_TRUNC)
            truncated_++;
        else
            frames[taken++] = {static_cast<const std::byte*>(pieces_[i].iov_base),
                               messages_[i].msg_len};
    }
    return taken;
}

Statistics PacketPort::statistics() const
{
    auto all = socket_.statistics();
    all.emplace_back("truncated", truncated_);
    return all;
}

} // namespace p2prdma::l2
