// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/area.hpp"
#include "tools/p2prdmad/provider.hpp"

#include <linux/p2prdma_control.h>

#include <array>
#include <cstdint>

namespace p2prdma::daemon {

/// What tells the card's kernel which client may map what. A grant is a number, 1 to 255.
///
/// The daemon keeps its own copy: what the card could write over is never read back.
class GrantTable {
public:
    GrantTable(Area area, std::uint32_t client_limit) noexcept
        : area_(area), client_limit_(client_limit)
    {
    }
    GrantTable(const GrantTable&) = delete;
    GrantTable& operator=(const GrantTable&) = delete;

    /// That a client can be granted so many more. \throws Refusal ENOSPC
    void require(std::uint32_t client, std::uint32_t count) const;
    /// Grants `place` to a client. \throws Refusal ENOSPC
    std::uint32_t add(std::uint32_t client, const Placement& place);
    /// Takes it back: the card is to unmap it. May be called again.
    void revoke(std::uint32_t grant) noexcept;
    /// Whether the card has no mapping of a revoked grant left.
    bool acknowledged(std::uint32_t grant) const noexcept;
    /// Whether that holds for all that were revoked and are not free.
    bool all_acknowledged() const noexcept;
    /// Its number may be used again.
    void free(std::uint32_t grant) noexcept;
    /// Whether something has changed since it was last asked: the card must be rung.
    bool take_change() noexcept;
    /// Grants that are not free.
    std::uint32_t used() const noexcept { return used_; }

private:
    struct Slot {
        std::uint32_t state = P2PRDMA_GRANT_FREE;
        std::uint32_t generation = 0;
        std::uint32_t client = 0;
    };

    std::uint32_t find_free(std::uint32_t client);
    void set_state(std::uint32_t grant, std::uint32_t state) noexcept;
    void announce() noexcept;

    Area area_;
    std::uint32_t client_limit_;
    std::array<Slot, P2PRDMA_CONTROL_GRANT_COUNT> slots_ = {};
    std::uint32_t next_ = 1;
    std::uint32_t generation_ = 0;
    std::uint32_t change_ = 0;
    std::uint32_t used_ = 0;
    bool changed_ = false;
};

} // namespace p2prdma::daemon
