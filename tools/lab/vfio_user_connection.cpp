// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/vfio_user_connection.hpp"

#include "tools/lab/event_loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/uio.h>
#include <utility>

namespace lab {

using vfio_user::Header;

namespace {

/// Messages served before other descriptors get their turn.
constexpr int burst = 32;
/// Output that QEMU has not taken: more than its own requests and our DMA can make.
constexpr std::size_t max_output = 4096;

std::string system_text(const char* what)
{
    return std::string(what) + ": " + std::strerror(errno);
}

std::span<std::byte> bytes_of(Header& header)
{
    return std::as_writable_bytes(std::span(&header, 1));
}

} // namespace

VfioUserConnection::VfioUserConnection(EventLoop& loop, UniqueFd socket,
                                       std::function<void(Message&)> received,
                                       std::function<void(const std::string&)> closed)
    : loop_(loop), socket_(std::move(socket)), received_(std::move(received)),
      closed_(std::move(closed))
{
    loop_.watch(socket_.get(), [this] { readable(); });
}

VfioUserConnection::~VfioUserConnection()
{
    loop_.unwatch(socket_.get());
}

void VfioUserConnection::readable()
{
    if (paused_ && failure_.empty())
        failure_ = "QEMU closed the connection"; // nothing else is told while it is paused
    for (int i = 0; i < burst && !(paused_ && failure_.empty()); ++i) {
        Progress progress = failure_.empty() ? receive() : Progress::closed;
        if (progress == Progress::wait)
            return;
        if (progress == Progress::closed) {
            auto closed = closed_; // outlives this object, which it may destroy
            auto reason = failure_;
            closed(reason);
            return;
        }
        received_(message_);
        message_.fds.clear();
        filled_ = 0;
    }
}

/// Goes on with the current message. The descriptors of a message come with its first byte, and the
/// kernel gives no byte of a later message with them as long as each is read by itself.
VfioUserConnection::Progress VfioUserConnection::receive()
{
    if (filled_ < sizeof(Header)) {
        Progress progress = receive_into(bytes_of(message_.header).subspan(filled_));
        if (progress != Progress::message)
            return progress;
        if (!check_header())
            return Progress::closed;
    }
    std::size_t length = message_.header.size - sizeof(Header);
    if (body_.size() < length)
        body_.resize(length);
    message_.body = std::span(body_).first(length);
    return receive_into(std::span(body_).first(length).subspan(filled_ - sizeof(Header)));
}

/// Reads until `part` is full: Progress::message.
VfioUserConnection::Progress VfioUserConnection::receive_into(std::span<std::byte> part)
{
    while (!part.empty()) {
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 64)> control{};
        iovec vector{part.data(), part.size()};
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        ssize_t n = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return Progress::wait;
        if (n <= 0) {
            failure_ = n == 0 ? "QEMU closed the connection" : system_text("cannot receive");
            return Progress::closed;
        }
        take_fds(message);
        filled_ += static_cast<std::size_t>(n);
        part = part.subspan(static_cast<std::size_t>(n));
    }
    return Progress::message;
}

bool VfioUserConnection::check_header()
{
    std::uint32_t size = message_.header.size;
    if (size >= sizeof(Header) && size <= vfio_user::max_message)
        return true;
    failure_ = "a message of " + std::to_string(size) + " bytes: the stream is out of step";
    return false;
}

void VfioUserConnection::take_fds(msghdr& message)
{
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            message_.fds.emplace_back(fd);
        }
    }
}

void VfioUserConnection::send(Header header, std::span<const std::byte> first,
                              std::span<const std::byte> second, int fd)
{
    if (!failure_.empty())
        return;
    header.size = static_cast<std::uint32_t>(sizeof(Header) + first.size() + second.size());
    Outgoing out{.bytes = {}, .sent = 0, .fd = fd};
    out.bytes.reserve(header.size);
    auto head = bytes_of(header);
    out.bytes.insert(out.bytes.end(), head.begin(), head.end());
    out.bytes.insert(out.bytes.end(), first.begin(), first.end());
    out.bytes.insert(out.bytes.end(), second.begin(), second.end());
    bool idle = output_.empty();
    output_.push_back(std::move(out));
    if (idle)
        flush();
    else if (output_.size() > max_output)
        fail("QEMU takes no replies");
}

void VfioUserConnection::pause(bool paused)
{
    paused_ = paused;
    loop_.pause(socket_.get(), paused);
}

void VfioUserConnection::flush()
{
    while (!output_.empty() && send_some(output_.front()))
        output_.pop_front();
    bool wait = !output_.empty() && failure_.empty();
    if (wait == std::exchange(waiting_, wait))
        return;
    if (wait)
        loop_.watch_writable(socket_.get(), [this] { flush(); });
    else
        loop_.watch_writable(socket_.get(), {});
}

/// True once all of it is sent.
bool VfioUserConnection::send_some(Outgoing& out)
{
    while (out.sent < out.bytes.size()) {
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
        iovec vector{out.bytes.data() + out.sent, out.bytes.size() - out.sent};
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        if (out.fd >= 0) {
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            cmsghdr* c = CMSG_FIRSTHDR(&message);
            *c = {.cmsg_len = CMSG_LEN(sizeof(int)),
                  .cmsg_level = SOL_SOCKET,
                  .cmsg_type = SCM_RIGHTS};
            std::memcpy(CMSG_DATA(c), &out.fd, sizeof(int));
        }
        ssize_t n = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN)
                fail(system_text("cannot send"));
            return false;
        }
        out.sent += static_cast<std::size_t>(n);
        out.fd = -1; // went with the first byte
    }
    return true;
}

/// Ends the connection from the event loop: callers are in the midst of using it.
void VfioUserConnection::fail(std::string reason)
{
    if (failure_.empty())
        failure_ = std::move(reason);
    ::shutdown(socket_.get(), SHUT_RDWR); // makes the socket readable
}

} // namespace lab
