// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/address.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/patience.hpp"

#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace p2prdma::tool {
namespace {

struct FreeAddresses {
    void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Failure cannot_connect(const Address& to, const std::string& why)
{
    return Failure(Exit::peer_lost, "peer_lost",
                   "cannot connect to " + to.to_string() + ": " + why);
}

std::optional<std::uint16_t> parse_port(std::string_view text)
{
    std::uint16_t port = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || stop != text.data() + text.size() || port == 0)
        return std::nullopt;
    return port;
}

/// The addresses of a host; nullptr and `error` of getaddrinfo() if there is none.
Addresses resolve(const Address& address, int flags, int& error)
{
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    error = ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                          std::to_string(address.port).c_str(), &hints, &list);
    return Addresses(error ? nullptr : list);
}

/// One attempt: 0 or an errno.
int try_connect(const addrinfo& address, const Address& to, Patience& patience, UniqueFd& socket)
{
    socket.reset(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket)
        return errno;
    if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    pollfd writable[] = {{socket.get(), POLLOUT, 0}};
    patience.wait(writable, "connecting to " + to.to_string());
    int error = 0;
    socklen_t length = sizeof(error);
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

void set_option(int socket, int level, int name, int value)
{
    ::setsockopt(socket, level, name, &value, sizeof(value));
}

std::string name_of(const sockaddr_storage& address, socklen_t length)
{
    char host[NI_MAXHOST] = "?";
    ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host, sizeof(host), nullptr,
                  0, NI_NUMERICHOST);
    const std::string_view text(host);
    return std::string(text.starts_with("::ffff:") ? text.substr(7) : text);
}

UniqueFd listen_at(const addrinfo& address)
{
    UniqueFd socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket)
        return socket;
    set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (address.ai_family == AF_INET6)
        set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0); // IPv4 too
    if (::bind(socket.get(), address.ai_addr, address.ai_addrlen) < 0 ||
        ::listen(socket.get(), 8) < 0)
        return UniqueFd();
    return socket;
}

} // namespace

Address Address::parse(std::string_view text)
{
    const Failure bad(Exit::usage, "usage",
                      "\"" + std::string(text) + "\" is not HOST or HOST:PORT");
    Address address{std::string(text), default_port};
    const bool bracket = text.starts_with('[');
    const auto end = bracket ? text.find(']') : text.find(':');
    if (!bracket && end != text.npos && text.find(':', end + 1) != text.npos)
        return address; // a bare IPv6 address
    if (bracket && end == text.npos)
        throw bad;
    address.host = text.substr(bracket ? 1 : 0, bracket ? end - 1 : end);
    const auto rest = end == text.npos ? std::string_view() : text.substr(end + (bracket ? 1 : 0));
    if (!rest.empty()) {
        const auto port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
        if (!port)
            throw bad;
        address.port = *port;
    }
    if (address.host.empty())
        throw bad;
    return address;
}

std::string Address::to_string() const
{
    const bool v6 = host.find(':') != host.npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

UniqueFd connect_to(const Address& to, Patience& patience)
{
    int error = 0;
    const auto addresses = resolve(to, 0, error);
    if (!addresses)
        throw cannot_connect(to, ::gai_strerror(error));
    for (const auto* each = addresses.get(); each; each = each->ai_next) {
        UniqueFd socket;
        error = try_connect(*each, to, patience, socket);
        if (!error) {
            set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
            return socket;
        }
    }
    throw cannot_connect(to, std::system_category().message(error) +
                                 (error == ECONNREFUSED ? "; is p2prdma recv running there?" : ""));
}

Listener::Listener(const Address& at)
{
    int error = 0;
    const auto addresses = resolve(at, AI_PASSIVE, error);
    if (!addresses)
        throw Failure(Exit::failed, "failed",
                      "cannot listen at " + at.host + ": " + ::gai_strerror(error));
    // The IPv6 wildcard also takes IPv4, so it goes first where there is IPv6 at all.
    for (const int family : {AF_INET6, AF_INET})
        for (const auto* each = addresses.get(); each && !socket_; each = each->ai_next)
            if (each->ai_family == family)
                socket_ = listen_at(*each);
    if (!socket_)
        throw system_failure(errno, "cannot listen at port " + std::to_string(at.port) +
                                        (at.host.empty() ? "" : " of " + at.host));
    sockaddr_storage bound = {};
    socklen_t length = sizeof(bound);
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &length);
    port_ =
        ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                          : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

UniqueFd Listener::accept(Patience& patience, std::string& peer) const
{
    for (;;) {
        sockaddr_storage from = {};
        socklen_t length = sizeof(from);
        UniqueFd socket(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from), &length,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (socket) {
            set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
            peer = name_of(from, length);
            return socket;
        }
        // EAGAIN, or a connection that ended before it was taken.
        if (errno == EMFILE || errno == ENFILE || errno == EBADF)
            throw system_failure(errno, "cannot take a connection");
        pollfd readable[] = {{socket_.get(), POLLIN, 0}};
        patience.wait(readable, "waiting for a sender");
    }
}

} // namespace p2prdma::tool
