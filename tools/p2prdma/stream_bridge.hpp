// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"
#include "tools/p2prdma/byte_stream.hpp"

#include <atomic>
#include <memory>
#include <thread>

namespace p2prdma::tool {

/// Makes a socket of a connection that is none: two threads carry the bytes between them.
class StreamBridge {
public:
    /// \throws Failure
    explicit StreamBridge(std::unique_ptr<ByteStream> stream);
    /// Waits until what was written into the socket has been sent; its other end is closed by then.
    ~StreamBridge();
    StreamBridge(const StreamBridge&) = delete;
    StreamBridge& operator=(const StreamBridge&) = delete;

    /// The socket; called once.
    UniqueFd take_socket() noexcept { return std::move(outer_); }

private:
    void carry_out() noexcept;
    void carry_in() noexcept;

    std::unique_ptr<ByteStream> stream_;
    UniqueFd outer_;
    UniqueFd inner_;
    std::atomic<bool> over_ = false;
    std::thread out_;
    std::thread in_;
};

} // namespace p2prdma::tool
