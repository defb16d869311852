// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/frame_filter.hpp"
#include "lib/l2/interface.hpp"
#include "p2prdma/unique_fd.hpp"

#include <string>

namespace p2prdma::l2 {

/// What an interface has to do with XDP.
struct XdpState {
    bool zero_copy = false; ///< its driver can give frames to AF_XDP without copying
    bool occupied = false;  ///< somebody's program is attached
    std::string program;    ///< the name of that
};
[[nodiscard]] XdpState xdp_state(const Interface& interface);

/// An XDP program on an interface: gives the frames of a filter that are for this station to
/// AF_XDP sockets, one for each receive queue, and passes all others on.
///
/// It is attached as long as this object lives, or its process. Needs CAP_NET_ADMIN and CAP_BPF.
/// Tags that the driver takes out of frames are not seen here.
class XdpProgram {
public:
    /// \param native  in the driver; else behind it, where other traffic suffers less
    /// \throws Error  not permitted, another program is attached, the driver cannot
    XdpProgram(const Interface& interface, const FrameFilter& filter, const MacAddress& address,
               bool native);

    /// \throws Error
    void give_queue_to(unsigned queue, int socket);
    /// The station has another address from now on. Returns 0 or an errno.
    int change_address(const MacAddress& address) noexcept;

private:
    FrameFilter filter_;
    UniqueFd sockets_; // map: receive queue -> socket
    UniqueFd program_;
    UniqueFd link_;
};

} // namespace p2prdma::l2
