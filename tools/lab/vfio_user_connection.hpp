// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/unique_fd.hpp"
#include "tools/lab/vfio_user_protocol.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace lab {

class EventLoop;

/// A connected vfio-user socket: cuts the stream into messages, and queues what QEMU is not ready
/// to take. It never blocks. Not thread-safe.
class VfioUserConnection {
public:
    struct Message {
        vfio_user::Header header;
        std::span<const std::byte> body; ///< valid during the callback
        std::vector<UniqueFd> fds;       ///< those not taken are closed
    };

    /// `received` is called with each message. `closed` is called once, with the reason, when the
    /// other end is gone or did not keep to the protocol; it may destroy the connection.
    VfioUserConnection(EventLoop& loop, UniqueFd socket, std::function<void(Message&)> received,
                       std::function<void(const std::string&)> closed);
    ~VfioUserConnection();
    VfioUserConnection(const VfioUserConnection&) = delete;
    VfioUserConnection& operator=(const VfioUserConnection&) = delete;

    /// Sends a message whose body is `first` and `second`; header.size is filled in. `fd` goes
    /// along unless it is -1; the caller keeps it open as long as the connection.
    void send(vfio_user::Header header, std::span<const std::byte> first,
              std::span<const std::byte> second = {}, int fd = -1);

    /// Leaves the messages that come in the socket, or goes on with them. If the other end goes
    /// meanwhile, they are lost.
    void pause(bool paused);

private:
    struct Outgoing {
        std::vector<std::byte> bytes;
        std::size_t sent = 0;
        int fd = -1;
    };
    enum class Progress { message, wait, closed };

    void readable();
    Progress receive();
    Progress receive_into(std::span<std::byte> whole);
    bool check_header();
    void take_fds(msghdr& message);
    void flush();
    bool send_some(Outgoing& out);
    void fail(std::string reason);

    EventLoop& loop_;
    UniqueFd socket_;
    std::function<void(Message&)> received_;
    std::function<void(const std::string&)> closed_;
    Message message_{};
    std::vector<std::byte> body_;
    std::size_t filled_ = 0; ///< bytes of the current message, header included
    std::deque<Outgoing> output_;
    bool waiting_ = false; ///< for the socket to become writable
    bool paused_ = false;
    std::string failure_; ///< why the connection ends; empty while it works
};

} // namespace lab
