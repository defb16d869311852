// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace p2prdma::tool {

class Patience;

/// The TCP port of `p2prdma recv` unless told otherwise.
inline constexpr std::uint16_t default_port = 17471;

/// A host and a TCP port, as a user writes them.
struct Address {
    std::string host;
    std::uint16_t port = default_port;

    /// "host", "host:port", "[v6]:port" or a bare IPv6 address. \throws Failure Exit::usage
    static Address parse(std::string_view text);
    std::string to_string() const;
};

/// Connects; tries all addresses that the name has. \throws Failure peer_lost
UniqueFd connect_to(const Address& to, Patience& patience);

/// A listening TCP socket.
class Listener {
public:
    virtual ~Listener() = default;
    /// `host`: which local address, empty: all. Port 0: any free one. \throws Failure
    explicit Listener(const Address& at);

    std::uint16_t port() const noexcept { return port_; }
    /// Waits for a connection; `peer` is set to where it comes from.
    virtual UniqueFd accept(Patience& patience, std::string& peer) const;

protected:
    /// For one that listens elsewhere.
    explicit Listener(std::uint16_t port) noexcept : port_(port) {}

private:
    UniqueFd socket_;
    std::uint16_t port_ = 0;
};

} // namespace p2prdma::tool
