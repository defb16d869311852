// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/tcp_network.hpp"

#include "p2prdma/unique_fd.hpp"
#include "tools/p2prdmad/refusal.hpp"
#include "tools/p2prdmad/resolver.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace p2prdma::daemon {
namespace {

constexpr int backlog = 16;

[[noreturn]] void refuse(int error, const std::string& what)
{
    throw Refusal(error, what + ": " + std::system_category().message(error));
}

bool later(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == EINPROGRESS;
}

/// The result of a call on a socket: nothing if it can be done later only.
std::optional<std::size_t> count(ssize_t result, const char* what)
{
    if (result >= 0)
        return static_cast<std::size_t>(result);
    if (!later(errno))
        refuse(errno, what);
    return std::nullopt;
}

class TcpStream final : public Stream {
public:
    explicit TcpStream(UniqueFd fd) : fd_(std::move(fd))
    {
        const int on = 1; // what is exchanged is short, and waited for
        ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }

    int fd() const noexcept override { return fd_.get(); }
    short events() const noexcept override { return POLLIN; }
    bool connected() override { return true; }
    std::shared_ptr<Stream> accept() override { throw Refusal(EINVAL, "this is no listener"); }
    std::optional<std::size_t> send(std::span<const std::byte> bytes) override
    {
        return count(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT),
                     "cannot send");
    }
    std::optional<std::size_t> receive(std::span<std::byte> into) override
    {
        return count(::recv(fd_.get(), into.data(), into.size(), MSG_DONTWAIT), "cannot receive");
    }
    void shutdown() noexcept override { ::shutdown(fd_.get(), SHUT_RDWR); }

private:
    UniqueFd fd_;
};

class TcpListener final : public Stream {
public:
    explicit TcpListener(UniqueFd fd) : fd_(std::move(fd)) {}

    int fd() const noexcept override { return fd_.get(); }
    short events() const noexcept override { return POLLIN; }
    bool connected() override { throw Refusal(EINVAL, "this is a listener"); }
    std::shared_ptr<Stream> accept() override
    {
        UniqueFd peer(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (peer)
            return std::make_shared<TcpStream>(std::move(peer));
        if (!later(errno) && errno != ECONNABORTED)
            refuse(errno, "cannot accept");
        return nullptr;
    }
    std::optional<std::size_t> send(std::span<const std::byte>) override
    {
        throw Refusal(EINVAL, "this is a listener");
    }
    std::optional<std::size_t> receive(std::span<std::byte>) override
    {
        throw Refusal(EINVAL, "this is a listener");
    }
    void shutdown() noexcept override { ::shutdown(fd_.get(), SHUT_RDWR); }

private:
    UniqueFd fd_;
};

/// A connection in the making: the name is looked up, then one address after the other is tried.
class TcpConnection final : public Stream {
public:
    TcpConnection(const std::string& host, std::uint16_t port, std::vector<std::string> peers)
        : host_(host), lookup_(host, port), peers_(std::move(peers))
    {
    }

    int fd() const noexcept override { return stream_ ? stream_->fd() : lookup_.fd(); }
    short events() const noexcept override { return connecting_ ? POLLOUT : POLLIN; }
    bool connected() override;
    std::shared_ptr<Stream> accept() override { return stream_->accept(); }
    std::optional<std::size_t> send(std::span<const std::byte> bytes) override
    {
        return stream_->send(bytes);
    }
    std::optional<std::size_t> receive(std::span<std::byte> into) override
    {
        return stream_->receive(into);
    }
    void shutdown() noexcept override
    {
        if (stream_)
            stream_->shutdown();
    }

private:
    bool is_allowed(const Address& address) const;
    bool try_next();
    int error_of_attempt() const;

    std::string host_;
    Lookup lookup_;
    std::vector<std::string> peers_; ///< empty: any
    std::vector<Address> addresses_;
    std::size_t next_ = 0;
    bool connecting_ = false;
    std::optional<TcpStream> stream_;
    int error_ = EOPNOTSUPP; ///< of the last address that the policy allows
};

bool TcpConnection::connected()
{
    if (addresses_.empty()) {
        auto found = lookup_.result();
        if (!found)
            return false;
        addresses_ = std::move(*found);
        return try_next();
    }
    if (!connecting_)
        return true;
    pollfd watched = {stream_->fd(), POLLOUT, 0};
    if (::poll(&watched, 1, 0) == 0)
        return false;
    error_ = error_of_attempt();
    connecting_ = error_ != 0;
    return error_ == 0 || try_next();
}

int TcpConnection::error_of_attempt() const
{
    int error = 0;
    socklen_t length = sizeof(error);
    ::getsockopt(stream_->fd(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

bool TcpConnection::is_allowed(const Address& address) const
{
    return peers_.empty() || std::ranges::find(peers_, address.text()) != peers_.end();
}

bool TcpConnection::try_next()
{
    for (; next_ < addresses_.size(); next_++) {
        const auto& address = addresses_[next_];
        if (!is_allowed(address))
            continue; // a name may have others
        UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd)
            refuse(errno, "cannot make a socket");
        const int result = ::connect(fd.get(), address.get(), address.length());
        error_ = result ? errno : 0;
        if (error_ && !later(error_))
            continue;
        connecting_ = result != 0;
        stream_.emplace(std::move(fd));
        next_++;
        return !connecting_;
    }
    refuse(error_, "cannot connect to " + host_);
}

} // namespace

std::shared_ptr<Stream> TcpNetwork::listen(std::uint16_t port)
{
    const auto allowed = [port](const NetworkPolicy::Ports& ports) {
        return port >= ports.first && port <= ports.last;
    };
    if (!policy_.listen.empty() && std::ranges::none_of(policy_.listen, allowed))
        throw Refusal(EOPNOTSUPP,
                      "the policy does not allow to listen on port " + std::to_string(port));
    UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const bool both = fd.get() >= 0;
    if (!both)
        fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    const int off = 0;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (both)
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    const auto address = both ? Address::any6(port) : Address::any4(port);
    if (::bind(fd.get(), address.get(), address.length()) || ::listen(fd.get(), backlog))
        refuse(errno, "cannot listen on port " + std::to_string(port));
    return std::make_shared<TcpListener>(std::move(fd));
}

std::shared_ptr<Stream> TcpNetwork::connect(const std::string& host, std::uint16_t port)
{
    return std::make_shared<TcpConnection>(host, port, policy_.peers);
}

} // namespace p2prdma::daemon
