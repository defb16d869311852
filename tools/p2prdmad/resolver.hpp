// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>

namespace p2prdma::daemon {

/// A socket address.
class Address {
public:
    Address(const sockaddr* address, socklen_t length);
    static Address any4(std::uint16_t port);
    static Address any6(std::uint16_t port);

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t length() const noexcept { return length_; }
    int family() const noexcept { return storage_.ss_family; }
    /// The numeric address, without the port.
    std::string text() const;

private:
    sockaddr_storage storage_ = {};
    socklen_t length_ = 0;
};

/// Looks a host up, at once if it is a numeric address, else on a thread of its own, since that may
/// take seconds: the daemon's one thread never waits for it.
class Lookup {
public:
    /// \throws Refusal EAGAIN if too many names are looked up already
    Lookup(const std::string& host, std::uint16_t port);

    /// Readable once there is a result; -1 if it is there at once.
    int fd() const noexcept;
    /// The addresses; nothing yet. \throws Refusal EHOSTUNREACH: the name is not known
    std::optional<std::vector<Address>> result();

private:
    struct Job;

    std::shared_ptr<Job> job_;
};

} // namespace p2prdma::daemon
