// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/frame_filter.hpp"
#include "lib/l2/interface.hpp"
#include "lib/l2/port.hpp"
#include "p2prdma/unique_fd.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/socket.h>

namespace p2prdma::l2 {

/// An AF_PACKET socket that gets the frames of a filter, and no other: the kernel sorts them out.
/// Sends many with one system call.
///
/// Thread-safety: one thread at a time.
class PacketSocket {
public:
    static constexpr std::size_t batch = 64;

    /// It receives nothing before start().
    /// \throws Error  not permitted: it needs CAP_NET_RAW
    PacketSocket(const Interface& interface, const FrameFilter& filter);
    void start();

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    /// As Port::send(). A frame that the link does not take is as good as sent, and counted.
    std::size_t send(std::span<const Outgoing> frames) noexcept;
    /// "kernel_dropped": came, but found no room; "send_refused".
    [[nodiscard]] Statistics statistics() const;

private:
    std::size_t send_batch(std::span<const Outgoing> frames) noexcept;
    [[nodiscard]] bool is_lost(int error) noexcept;

    UniqueFd socket_;
    int interface_;
    FrameFilter filter_;
    std::array<mmsghdr, batch> messages_ = {};
    std::array<std::array<iovec, std::tuple_size_v<decltype(Outgoing::pieces)>>, batch> pieces_ =
        {};
    std::uint64_t refused_ = 0;
    mutable std::uint64_t dropped_ = 0; // the kernel's counter starts anew when it is read
};

} // namespace p2prdma::l2
