// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/local_card.hpp"
#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/commands.hpp"

namespace p2prdma::tool {

// What `list` and `info` tell, as JSON.

/// A card's identity and memory.
Json describe(unsigned number, const CardInfo& info);
/// A card whose own machine this is.
Json describe(unsigned number, const LocalCardInfo& info);
/// An RDMA device.
Json describe(const Adapter::Entry& adapter);
/// Whether and how the two reach each other.
Json describe(const Reach& reach);
/// What isolates a card next to an adapter.
Json describe(const Isolation& isolation);

} // namespace p2prdma::tool
