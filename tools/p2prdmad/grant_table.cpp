// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/grant_table.hpp"

#include "tools/p2prdmad/little_endian.hpp"
#include "tools/p2prdmad/refusal.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace p2prdma::daemon {
namespace {

constexpr std::size_t entry(std::uint32_t grant, std::size_t member = 0)
{
    return P2PRDMA_CONTROL_GRANTS + grant * sizeof(p2prdma_grant) + member;
}

std::uint32_t flags_of(const Placement& place)
{
    const std::uint32_t uncached = place.uncached ? P2PRDMA_GRANT_UC : 0;
    return uncached | (place.read_only ? P2PRDMA_GRANT_READ_ONLY : 0);
}

} // namespace

void GrantTable::require(std::uint32_t client, std::uint32_t count) const
{
    const auto held = std::ranges::count_if(slots_, [client](const Slot& slot) {
        return slot.state != P2PRDMA_GRANT_FREE && slot.client == client;
    });
    if (held + count > client_limit_)
        throw Refusal(ENOSPC, "the client has " + std::to_string(held) + " grants: its quota");
    if (used_ + count >= slots_.size())
        throw Refusal(ENOSPC, "all grants are in use");
}

std::uint32_t GrantTable::find_free(std::uint32_t client)
{
    require(client, 1);
    for (std::uint32_t i = 1; i < slots_.size(); i++, next_++) {
        const auto grant = 1 + next_ % (P2PRDMA_CONTROL_GRANT_COUNT - 1);
        if (slots_[grant].state == P2PRDMA_GRANT_FREE)
            return grant;
    }
    throw Refusal(ENOSPC, "all grants are in use");
}

void GrantTable::set_state(std::uint32_t grant, std::uint32_t state) noexcept
{
    Area::release();
    slots_[grant].state = state;
    area_.store32(entry(grant, offsetof(p2prdma_grant, state)), state);
}

/// The card is to look at the grants.
void GrantTable::announce() noexcept
{
    Area::release();
    area_.store32(P2PRDMA_CONTROL_HOST + offsetof(p2prdma_control_host, grant_change), ++change_);
    changed_ = true;
}

std::uint32_t GrantTable::add(std::uint32_t client, const Placement& place)
{
    const auto grant = find_free(client);
    generation_ += generation_ == UINT32_MAX ? 2 : 1;
    p2prdma_grant value = {};
    value.generation = le(generation_);
    value.client = le(client);
    value.kind = le(static_cast<std::uint32_t>(place.kind));
    value.flags = le(flags_of(place));
    value.offset = le<std::uint64_t>(place.offset);
    value.length = le<std::uint64_t>(place.length);
    area_.write(entry(grant), std::as_bytes(std::span(&value, 1)));
    slots_[grant] = {P2PRDMA_GRANT_FREE, generation_, client};
    set_state(grant, P2PRDMA_GRANT_VALID);
    announce();
    used_++;
    return grant;
}

void GrantTable::revoke(std::uint32_t grant) noexcept
{
    if (slots_[grant].state != P2PRDMA_GRANT_VALID)
        return;
    set_state(grant, P2PRDMA_GRANT_REVOKED);
    announce();
}

bool GrantTable::acknowledged(std::uint32_t grant) const noexcept
{
    const auto revoked = offsetof(p2prdma_control_card, revoked) + grant * sizeof(__le32);
    return area_.load32(P2PRDMA_CONTROL_CARD + revoked) == slots_[grant].generation;
}

bool GrantTable::all_acknowledged() const noexcept
{
    for (std::uint32_t grant = 1; grant < slots_.size(); grant++)
        if (slots_[grant].state == P2PRDMA_GRANT_REVOKED && !acknowledged(grant))
            return false;
    return true;
}

void GrantTable::free(std::uint32_t grant) noexcept
{
    set_state(grant, P2PRDMA_GRANT_FREE); // whether the card sees it now or later is the same
    used_--;
}

bool GrantTable::take_change() noexcept
{
    return std::exchange(changed_, false);
}

} // namespace p2prdma::daemon
