// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/provider.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace p2prdma::daemon {

/// A TCP connection of the host's, or one that listens. No function waits: what cannot be done yet
/// returns nothing, and fd() and events() tell poll() what to wait for.
/// All throw Refusal with the errno if it cannot be done at all.
struct Stream : Object {
    virtual int fd() const noexcept = 0;
    virtual short events() const noexcept = 0;
    /// Of a stream that connect() returned: whether it is connected.
    virtual bool connected() = 0;
    /// Of a listener: the next connection.
    virtual std::shared_ptr<Stream> accept() = 0;
    /// How many bytes were sent.
    virtual std::optional<std::size_t> send(std::span<const std::byte> bytes) = 0;
    /// How many bytes have come: 0 at the end of the stream.
    virtual std::optional<std::size_t> receive(std::span<std::byte> into) = 0;
    /// Ends both directions: whoever waits for the stream is woken.
    virtual void shutdown() noexcept = 0;
};

/// Makes streams.
class Network {
public:
    Network() = default;
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;
    virtual ~Network() = default;

    virtual std::shared_ptr<Stream> listen(std::uint16_t port) = 0;
    /// Begins to connect: `host` is a name or an address.
    virtual std::shared_ptr<Stream> connect(const std::string& host, std::uint16_t port) = 0;
};

} // namespace p2prdma::daemon
