// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/direct/link.hpp"
#include "lib/direct/watched_mapping.hpp"

#include <memory>

namespace p2prdma::direct {

/// Memory or an event, which regions and counters lead to and keep.
class Target {
public:
    Target(std::shared_ptr<const Link> link, p2prdma_control_op destroy, std::uint32_t id,
           std::uint32_t grant, std::size_t length, bool writable)
        : object(std::move(link), destroy, id),
          mapping(object.link().card().map(grant, length, writable))
    {
    }

    const HostObject object;
    const WatchedMapping mapping; // goes first
};

} // namespace p2prdma::direct
