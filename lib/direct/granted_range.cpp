// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/direct/granted_range.hpp"

#include "p2prdma/error.hpp"

#include <limits>

namespace p2prdma::direct {

GrantMapping map_ring(const Session& session, std::uint32_t grant, std::uint64_t offset,
                      std::uint32_t entries, std::uint32_t entry_size)
{
    const std::uint64_t bytes = std::uint64_t{entries} * entry_size;
    if (bytes == 0 || offset > std::numeric_limits<std::size_t>::max() - bytes)
        throw Error(Errc::host_mismatch, "the host describes a queue that cannot be");
    return session.card().map(grant, offset + bytes);
}

} // namespace p2prdma::direct
