// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/site.hpp"

#include <algorithm>
#include <limits>

#include <unistd.h>

namespace p2prdma::tool {
namespace {

/// Registered host memory cannot be swapped out: no more than this, and a quarter of what is free.
constexpr std::uint64_t max_host_bytes = 2 * default_piece_bytes;

} // namespace

Room host_room()
{
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const auto free = static_cast<std::uint64_t>(::sysconf(_SC_AVPHYS_PAGES)) * page;
    return {std::clamp(free / 4, 2 * page, max_host_bytes), page};
}

std::optional<unsigned> HostSite::card() const
{
    return card_ ? std::optional(card_->number()) : std::nullopt;
}

std::string HostSite::memory_name() const
{
    return card_ ? card_->name() : "host memory";
}

void HostSite::require_isolation(Isolation::Level level) const
{
    adapter_.require_isolation(card_, level);
}

std::unique_ptr<Endpoint> HostSite::make_endpoint(std::uint32_t depth) const
{
    return Endpoint::make(adapter_, depth);
}

std::unique_ptr<Buffer> HostSite::make_buffer(std::uint64_t length, int access) const
{
    return Buffer::make(card_, adapter_.pd(), length, access);
}

std::unique_ptr<Buffer> HostSite::make_scratch(std::uint64_t length, int access) const
{
    return Buffer::make(std::nullopt, adapter_.pd(), length, access);
}

Room HostSite::room() const
{
    if (card_) {
        const auto info = card_->info();
        return {info.mem_largest_free, info.mem_granule};
    }
    return host_room();
}

std::uint64_t HostSite::most_staging() const
{
    return card_ ? std::max<std::uint64_t>(card_->info().mem_largest_free, 1)
                 : std::numeric_limits<std::uint64_t>::max();
}

} // namespace p2prdma::tool
