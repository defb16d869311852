// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/choose_port.hpp"
#include "lib/l2/port.hpp"
#include "tests/bench/l2_segment.hpp"

#include <p2prdma/unique_fd.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace bench {

constexpr std::size_t most_in_batch = 64;

/// One end of something that carries messages of one size to the other end.
class Pipe {
public:
    virtual ~Pipe() = default;
    Pipe() = default;
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    /// Sends up to `count`, at most most_in_batch; returns how many. Does not wait.
    virtual std::size_t send(std::size_t count) = 0;
    /// Takes what has come; returns how many. Does not wait.
    virtual std::size_t receive() = 0;
    [[nodiscard]] virtual int fd() const = 0;
    /// Bytes of a message that the application sees.
    [[nodiscard]] virtual std::size_t payload() const = 0;
    /// A message that asks for nothing but to be counted: see Window.
    virtual void send_credit() { (void)send(1); }
    /// A stream bounds by itself what is under way, and receive() of its bulk waits.
    [[nodiscard]] virtual bool is_stream() const { return false; }
    virtual void finish() {} ///< the other end's receive() waits no longer

    void wait() const
    {
        pollfd readable = {.fd = fd(), .events = POLLIN, .revents = 0};
        (void)poll(&readable, 1, 100);
    }
};

using Pipes = std::array<std::unique_ptr<Pipe>, 2>;

/// Frames on a port: a header and a payload from the application's memory, and into it.
class PortPipe final : public Pipe {
public:
    /// \param size    bytes behind the Ethernet header
    /// \param memory  bytes of the application's memory, which frames come from and go to, place
    ///                after place; 0: one frame's, and what comes stays where the port put it
    PortPipe(std::unique_ptr<p2prdma::l2::Port> port, const p2prdma::l2::MacAddress& to,
             std::size_t size, std::size_t memory)
        : port_(std::move(port)), size_(size), memory_(std::max(memory, size)), copies_(memory > 0)
    {
        std::memcpy(header_.data(), to.bytes.data(), 6);
        std::memcpy(header_.data() + 6, port_->address().bytes.data(), 6);
        header_[12] = std::byte{0x88};
        header_[13] = std::byte{0xb5};
        const std::size_t shortest = std::min<std::size_t>(size, 46);
        credit_ = {.pieces = {header_, std::span(memory_).first(shortest)}, .count = 2};
    }

    std::size_t send(std::size_t count) override
    {
        for (auto& frame : std::span(frames_).first(count))
            frame = {.pieces = {header_, next_place()}, .count = 2};
        return port_->send(std::span(frames_).first(count));
    }
    void send_credit() override
    {
        while (port_->send({&credit_, 1}) == 0)
            continue;
    }
    std::size_t receive() override
    {
        const auto count = port_->receive(received_);
        if (copies_)
            for (const auto frame : std::span(received_).first(count))
                std::memcpy(next_place().data(), frame.data() + header_.size(),
                            std::min(frame.size() - header_.size(), size_));
        return count;
    }
    [[nodiscard]] int fd() const override { return port_->fd(); }
    [[nodiscard]] std::size_t payload() const override { return size_; }

private:
    std::span<std::byte> next_place()
    {
        const auto place = next_;
        next_ = next_ + 2 * size_ > memory_.size() ? 0 : next_ + size_;
        return std::span(memory_).subspan(place, size_);
    }

    std::unique_ptr<p2prdma::l2::Port> port_;
    std::array<std::byte, 14> header_ = {};
    std::size_t size_;
    std::vector<std::byte> memory_;
    bool copies_;
    std::size_t next_ = 0;
    std::array<p2prdma::l2::Outgoing, most_in_batch> frames_ = {};
    p2prdma::l2::Outgoing credit_ = {};
    std::array<std::span<const std::byte>, most_in_batch> received_ = {};
};

inline sockaddr_in internet_address(std::size_t end, std::uint16_t port)
{
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, Segment::addresses[end], &address.sin_addr);
    return address;
}

inline p2prdma::UniqueFd internet_socket(int type)
{
    p2prdma::UniqueFd made(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    require(static_cast<bool>(made), "opening a socket");
    return made;
}

inline void set_option(int fd, int level, int name, int value)
{
    require(setsockopt(fd, level, name, &value, sizeof value) == 0, "setting a socket option");
}

/// Datagrams, many a system call.
class UdpPipe final : public Pipe {
public:
    static constexpr std::size_t headers = 28; // IPv4 and UDP

    UdpPipe(std::size_t end, std::size_t size)
        : socket_(internet_socket(SOCK_DGRAM)), size_(size), memory_(size * (1 + most_in_batch))
    {
        const auto here = internet_address(end, 7000);
        const auto there = internet_address(1 - end, 7000);
        require(bind(fd(), reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0, "bind");
        require(connect(fd(), reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0,
                "connect");
        set_option(fd(), SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20);
        for (std::size_t i = 0; i < most_in_batch; i++) {
            outgoing_[i] = {memory_.data(), size};
            incoming_[i] = {memory_.data() + (1 + i) * size, size};
            to_send_[i].msg_hdr.msg_iov = &outgoing_[i];
            to_receive_[i].msg_hdr.msg_iov = &incoming_[i];
            to_send_[i].msg_hdr.msg_iovlen = to_receive_[i].msg_hdr.msg_iovlen = 1;
        }
    }

    std::size_t send(std::size_t count) override
    {
        return at_least_0(
            sendmmsg(fd(), to_send_.data(), static_cast<unsigned>(count), MSG_DONTWAIT));
    }
    void send_credit() override
    {
        while (::send(fd(), memory_.data(), std::min<std::size_t>(size_, 18), MSG_DONTWAIT) < 0)
            continue;
    }
    std::size_t receive() override
    {
        return at_least_0(recvmmsg(fd(), to_receive_.data(), most_in_batch, MSG_DONTWAIT, nullptr));
    }
    [[nodiscard]] int fd() const override { return socket_.get(); }
    [[nodiscard]] std::size_t payload() const override { return size_; }

private:
    static std::size_t at_least_0(int count) { return count < 0 ? 0 : static_cast<size_t>(count); }

    p2prdma::UniqueFd socket_;
    std::size_t size_;
    std::vector<std::byte> memory_;
    std::array<iovec, most_in_batch> outgoing_ = {}, incoming_ = {};
    std::array<mmsghdr, most_in_batch> to_send_ = {}, to_receive_ = {};
};

/// A stream, seen as messages of one size.
class TcpPipe final : public Pipe {
public:
    /// \param bulk  receive() waits, as programs do that have much to receive
    TcpPipe(p2prdma::UniqueFd socket, std::size_t size, bool bulk)
        : socket_(std::move(socket)), memory_(size), flags_(bulk ? 0 : MSG_DONTWAIT)
    {
        set_option(fd(), IPPROTO_TCP, TCP_NODELAY, 1);
    }

    /// Waits for room; one message at a time.
    std::size_t send(std::size_t) override
    {
        std::size_t sent = 0;
        while (sent < memory_.size()) {
            const auto now =
                ::send(fd(), memory_.data() + sent, memory_.size() - sent, MSG_NOSIGNAL);
            if (now <= 0)
                return 0; // shut down
            sent += static_cast<std::size_t>(now);
        }
        return 1;
    }
    std::size_t receive() override
    {
        const auto now = recv(fd(), memory_.data(), memory_.size(), flags_);
        bytes_ += now > 0 ? static_cast<std::size_t>(now) : 0;
        const auto messages = bytes_ / memory_.size();
        bytes_ %= memory_.size();
        return messages;
    }
    [[nodiscard]] int fd() const override { return socket_.get(); }
    [[nodiscard]] std::size_t payload() const override { return memory_.size(); }
    [[nodiscard]] bool is_stream() const override { return true; }
    void finish() override { shutdown(fd(), SHUT_RDWR); }

private:
    p2prdma::UniqueFd socket_;
    std::vector<std::byte> memory_;
    int flags_;
    std::size_t bytes_ = 0; // received, of an unfinished message
};

inline Pipes open_ports(Segment& segment, p2prdma::l2::PortKind kind, std::size_t size,
                        std::size_t memory)
{
    Pipes pipes;
    for (std::size_t end = 0; end < 2; end++)
        segment.enter(end, [&] {
            p2prdma::l2::DeviceOptions options;
            options.port = kind;
            pipes[end] =
                std::make_unique<PortPipe>(p2prdma::l2::open_port(Segment::interface, options),
                                           Segment::mac(1 - end), size, memory);
        });
    return pipes;
}

/// Packets as long as the frames: the payload is shorter by the headers.
inline Pipes open_udp(Segment& segment, std::size_t size)
{
    Pipes pipes;
    const auto payload = size > 2 * UdpPipe::headers ? size - UdpPipe::headers : size;
    for (std::size_t end = 0; end < 2; end++)
        segment.enter(end, [&] { pipes[end] = std::make_unique<UdpPipe>(end, payload); });
    return pipes;
}

inline Pipes open_tcp(Segment& segment, std::size_t size, bool bulk)
{
    const auto there = internet_address(1, 7001);
    const auto* address = reinterpret_cast<const sockaddr*>(&there);
    auto listener = segment.enter(1, [] { return internet_socket(SOCK_STREAM); });
    set_option(listener.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    require(bind(listener.get(), address, sizeof there) == 0, "bind");
    require(listen(listener.get(), 1) == 0, "listen");
    auto client = segment.enter(0, [] { return internet_socket(SOCK_STREAM); });
    require(connect(client.get(), address, sizeof there) == 0, "connect");
    p2prdma::UniqueFd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    require(static_cast<bool>(server), "accept");
    return {std::make_unique<TcpPipe>(std::move(client), size, bulk),
            std::make_unique<TcpPipe>(std::move(server), size, bulk)};
}

} // namespace bench
