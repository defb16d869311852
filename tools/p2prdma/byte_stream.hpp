// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

namespace p2prdma::tool {

/// A connection that is no socket. One thread sends while another receives; no more.
class ByteStream {
public:
    using Clock = std::chrono::steady_clock;

    virtual ~ByteStream() = default;
    ByteStream() = default;
    ByteStream(const ByteStream&) = delete;
    ByteStream& operator=(const ByteStream&) = delete;

    /// Sends all of it. \throws std::exception if it cannot, or not until then
    virtual void send(std::span<const std::byte> data, Clock::time_point until) = 0;
    /// Receives at least a byte. 0: the peer has closed. Nothing: it did not come until then.
    /// \throws std::exception
    virtual std::optional<std::size_t> receive(std::span<std::byte> into,
                                               Clock::time_point until) = 0;
};

} // namespace p2prdma::tool
