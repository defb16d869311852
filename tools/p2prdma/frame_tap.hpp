// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace p2prdma::tool {

/// A frame as it was seen on an interface.
struct TappedFrame {
    std::span<const std::byte> bytes; ///< from the destination address on, with its VLAN tag
    std::size_t length = 0;           ///< what it really had; more than `bytes` if cut off
    std::chrono::system_clock::time_point time;
    bool outgoing = false;
};

/// Sees the frames of an EtherType that pass an interface, both ways (AF_PACKET). What AF_XDP
/// moves, and what is sent past the queueing discipline, the kernel does not show.
class FrameTap {
public:
    /// \param promiscuous  also frames to others \throws Failure
    FrameTap(const std::string& interface, std::uint16_t ether_type, bool promiscuous);

    int fd() const noexcept { return socket_.get(); }
    /// A frame if one waits; valid until the next call. \throws Failure the interface has gone
    std::optional<TappedFrame> take();
    /// Frames that were lost for lack of room since the last call.
    std::uint64_t lost() noexcept;

private:
    UniqueFd socket_;
    std::string interface_;
    std::vector<std::byte> buffer_;
};

} // namespace p2prdma::tool
