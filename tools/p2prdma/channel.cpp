// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/channel.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/patience.hpp"

#include <cerrno>
#include <chrono>

#include <poll.h>
#include <sys/socket.h>

namespace p2prdma::tool {
namespace {

constexpr auto grace = std::chrono::seconds(1);

std::int64_t seconds_now()
{
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

/// The exit status that a peer's Failed message asks for: only those that can concern this side.
Exit status_from(std::uint32_t status)
{
    const bool known = status >= static_cast<std::uint32_t>(Exit::no_device) &&
                       status <= static_cast<std::uint32_t>(Exit::digest_mismatch);
    return known ? static_cast<Exit>(status) : Exit::failed;
}

} // namespace

Channel::Channel(UniqueFd socket, Patience& patience, std::string peer)
    : socket_(std::move(socket)), patience_(patience), peer_(std::move(peer))
{
}

void Channel::lost(const std::string& how) const
{
    throw Failure(Exit::peer_lost, "peer_lost", "lost the connection to " + peer_ + ": " + how);
}

void Channel::unexpected(const wire::Message& message) const
{
    throw Failure(Exit::failed, "protocol",
                  peer_ + " does not follow the protocol: unexpected message " +
                      wire::name_of(message));
}

void Channel::send(const wire::Message& message)
{
    const auto bytes = wire::encode(message, token_.value_or(0));
    std::span<const std::byte> rest(bytes);
    while (!rest.empty()) {
        const auto sent = ::send(fd(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            rest = rest.subspan(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            pollfd writable[] = {{fd(), POLLOUT, 0}};
            patience_.wait(writable, "sending to " + peer_);
        } else if (errno != EINTR) {
            // What the peer said before it closed tells more than "broken pipe".
            const int error = errno;
            while (try_receive()) {
            }
            lost(std::system_category().message(error));
        }
    }
}

/// Reads until `wanted` bytes are there; false if they have not come yet.
bool Channel::fill(std::size_t wanted)
{
    while (filled_ < wanted) {
        const auto got = ::recv(fd(), buffer_.data() + filled_, wanted - filled_, MSG_DONTWAIT);
        if (got > 0)
            filled_ += static_cast<std::size_t>(got);
        else if (got == 0)
            lost("it closed the connection");
        else if (errno == EAGAIN)
            return false;
        else if (errno != EINTR)
            lost(std::system_category().message(errno));
    }
    return true;
}

std::optional<wire::Message> Channel::parse()
{
    const std::span<const std::byte> bytes(buffer_);
    if (!pending_) {
        if (!fill(wire::header_size))
            return std::nullopt;
        pending_ = wire::decode_header(bytes.first(wire::header_size));
        if (token_ && pending_->token != *token_)
            throw Failure(Exit::failed, "protocol",
                          peer_ + " does not follow the protocol: a message of another transfer");
    }
    if (!fill(wire::header_size + pending_->body_size))
        return std::nullopt;
    header_ = *pending_;
    pending_.reset();
    filled_ = 0;
    return wire::decode(header_, bytes.subspan(wire::header_size, header_.body_size));
}

std::optional<wire::Message> Channel::try_receive()
{
    while (auto message = parse()) {
        patience_.progress();
        if (const auto* failed = std::get_if<wire::Failed>(&*message))
            throw Failure(status_from(failed->status), "peer_failed",
                          peer_ + " says: " + failed->sentence);
        if (!std::holds_alternative<wire::Alive>(*message))
            return message;
    }
    return std::nullopt;
}

wire::Message Channel::receive_any()
{
    for (;;) {
        if (auto message = try_receive())
            return *message;
        pollfd readable[] = {{fd(), POLLIN, 0}};
        patience_.wait(readable, "waiting for " + peer_);
    }
}

void Channel::keep_alive(std::uint64_t bytes)
{
    const auto now = seconds_now();
    if (now == last_alive_)
        return;
    last_alive_ = now;
    send(wire::Alive{bytes});
}

void Channel::last_words()
{
    const auto end = Patience::Clock::now() + grace;
    pollfd readable[] = {{fd(), POLLIN, 0}};
    for (auto now = end - grace; now < end; now = Patience::Clock::now())
        if (patience_.wait(readable, end - now, "waiting for " + peer_))
            while (try_receive()) {
            }
}

void Channel::give_up(const Failure& failure) noexcept
{
    try {
        // The peer has said this itself, or is not there to hear it.
        if (failure.status() == Exit::peer_lost || failure.code() == "peer_failed")
            return;
        const auto bytes =
            wire::encode(wire::Failed{static_cast<std::uint32_t>(failure.status()), failure.what()},
                         token_.value_or(0));
        // Not send(): that would stop for the signal that may be the reason to give up.
        if (::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return;
        // Closing with data unread would throw the message away: wait until the peer has closed.
        ::shutdown(fd(), SHUT_WR);
        const auto end = Patience::Clock::now() + grace;
        pollfd readable = {fd(), POLLIN, 0};
        while (Patience::Clock::now() < end && ::poll(&readable, 1, 100) >= 0)
            if (readable.revents && ::recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT) <= 0)
                return;
    } catch (const std::exception&) {
        // Out of memory: the closed connection must tell.
    }
}

} // namespace p2prdma::tool
