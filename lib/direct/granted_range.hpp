// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/direct/watched_mapping.hpp"
#include "p2prdma/direct/session.hpp"
#include "p2prdma/grant_mapping.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma::direct {

/// Maps as much of a grant as holds a ring of `entries` at `offset`. The numbers are the host's.
/// \throws Error
[[nodiscard]] GrantMapping map_ring(const Session& session, std::uint32_t grant,
                                    std::uint64_t offset, std::uint32_t entries,
                                    std::uint32_t entry_size);

/// What is mapped from `offset` on.
[[nodiscard]] inline std::span<volatile std::byte> ring_in(const WatchedMapping& mapping,
                                                           std::uint64_t offset) noexcept
{
    return mapping.span().subspan(offset);
}

} // namespace p2prdma::direct
