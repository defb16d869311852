// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"
#include "tools/p2prdma/wire.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace p2prdma::tool {

class Failure;
class Patience;

/// The control connection of a transfer. All waiting is Patience's. What the peer sends is checked
/// before anyone sees it; Alive messages only keep patience up, a Failed message is thrown.
class Channel {
public:
    /// Takes a connected socket over. `peer`: who that is, for sentences.
    Channel(UniqueFd socket, Patience& patience, std::string peer);

    /// All messages carry `token` from now on, in both directions.
    void set_token(std::uint64_t token) noexcept { token_ = token; }
    /// The token of the message that came last.
    std::uint64_t last_token() const noexcept { return header_.token; }
    const std::string& peer() const noexcept { return peer_; }
    /// Readable when a message, or the end, may have come.
    int fd() const noexcept { return socket_.get(); }

    /// \throws Failure peer_lost
    void send(const wire::Message& message);
    /// Waits for a message of that type. \throws Failure peer_lost, or another type came
    template <class T>
    T receive();
    /// A message if a whole one has come. \throws Failure peer_lost at the end of the connection
    std::optional<wire::Message> try_receive();
    /// Waits for any message.
    wire::Message receive_any();
    /// Alive at most once a second, so that the peer does not lose patience.
    void keep_alive(std::uint64_t bytes);
    /// After RDMA failed: if the peer says why, or has gone, within a second, throws that.
    void last_words();
    /// Tells the peer why this side gives up, and waits shortly until it has heard. Throws nothing.
    void give_up(const Failure& failure) noexcept;

private:
    [[noreturn]] void unexpected(const wire::Message& message) const;
    [[noreturn]] void lost(const std::string& how) const;
    bool fill(std::size_t wanted);
    std::optional<wire::Message> parse();

    UniqueFd socket_;
    Patience& patience_;
    std::string peer_;
    std::optional<std::uint64_t> token_;
    std::array<std::byte, wire::header_size + wire::max_body_size> buffer_ = {};
    std::size_t filled_ = 0;
    std::optional<wire::Header> pending_;
    wire::Header header_;
    std::int64_t last_alive_ = 0; // steady clock, seconds
};

template <class T>
T Channel::receive()
{
    const auto message = receive_any();
    if (!std::holds_alternative<T>(message))
        unexpected(message);
    return std::get<T>(message);
}

} // namespace p2prdma::tool
