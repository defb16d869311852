// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/link_port.hpp"

#include <algorithm>

namespace p2prdma::l2 {

LinkPort::LinkPort(Interface interface, const FrameFilter& filter, std::uint32_t limit)
    : interface_(std::move(interface)), filter_(filter), limit_(limit ? limit : UINT32_MAX),
      link_(interface_.link())
{
}

std::uint32_t LinkPort::frame_limit() const noexcept
{
    return std::min(link_.mtu + filter_.header(), limit_);
}

} // namespace p2prdma::l2
