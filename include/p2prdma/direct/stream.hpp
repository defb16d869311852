// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/session.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace p2prdma::direct {

class HostObject;

/// A TCP connection of the host's, for the few bytes that programs exchange before they talk by
/// RDMA. Move-only; closed when it goes.
///
/// Thread-safety: one thread sends while another receives; no more.
class P2PRDMA_API Stream final {
public:
    using Clock = std::chrono::steady_clock;

    /// Connects the host to `host`, a name or address. \throws Error with the errno of the failure;
    /// std::errc::timed_out at the deadline
    [[nodiscard]] static Stream connect(const Session& session, std::string_view host,
                                        std::uint16_t port, Clock::time_point deadline);

    /// Sends all of it. \throws Error as connect(); std::errc::broken_pipe
    void send(std::span<const std::byte> data, Clock::time_point deadline);
    /// Receives what is there, at least one byte, at most as much as fits. 0: the peer has closed.
    /// Nothing: the deadline came first. \throws Error
    [[nodiscard]] std::optional<std::size_t> receive(std::span<std::byte> into,
                                                     Clock::time_point deadline);
    /// Receives as many bytes as `into` has. \throws Error as receive(); std::errc::timed_out;
    /// std::errc::connection_reset if the peer closes before
    void receive_all(std::span<std::byte> into, Clock::time_point deadline);

private:
    friend class Listener;
    explicit Stream(std::shared_ptr<const HostObject> object) : object_(std::move(object)) {}

    std::shared_ptr<const HostObject> object_;
};

/// A TCP port of the host's at which Streams arrive. Move-only.
class P2PRDMA_API Listener final {
public:
    /// \throws Error std::errc::address_in_use and others
    Listener(const Session& session, std::uint16_t port);

    /// The next connection; nothing if none came in time. \throws Error
    [[nodiscard]] std::optional<Stream> accept(Stream::Clock::time_point deadline);

private:
    std::shared_ptr<const HostObject> object_;
};

} // namespace p2prdma::direct
