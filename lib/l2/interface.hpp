// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/error.hpp"
#include "p2prdma/l2/mac_address.hpp"
#include "p2prdma/unique_fd.hpp"

#include <cstdint>
#include <string>

namespace p2prdma::l2 {

/// "WHAT: the system's text for error". EPERM and EACCES become Errc::not_permitted.
[[nodiscard]] Error system_error(int error, const std::string& what);

/// An Ethernet interface of the network namespace in which it was opened.
///
/// Thread-safety: one thread at a time.
class Interface {
public:
    struct Link {
        bool exists = false;
        bool up = false; ///< set up, and with a carrier
        std::uint32_t mtu = 0;
        MacAddress address;
    };

    /// \throws Error  there is none of that name, or it is no Ethernet interface
    explicit Interface(const std::string& name);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] int index() const noexcept { return index_; }
    /// How it is now, also if it was renamed.
    [[nodiscard]] Link link() const noexcept;
    [[nodiscard]] std::string driver() const;               ///< such as "veth"
    [[nodiscard]] unsigned receive_queues() const noexcept; ///< at least 1
    /// Whether it is a bridge, or a port of one, or lies on such (VLAN, macvlan), or belongs to
    /// such (bond, team): then frames of other links come in here. Open vSwitch counts, too.
    [[nodiscard]] bool is_bridged() const;

private:
    std::string name_;
    UniqueFd socket_; // for questions
    int index_ = 0;
};

} // namespace p2prdma::l2
