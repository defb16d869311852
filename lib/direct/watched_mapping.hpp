// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/grant_mapping.hpp"

#include <cstddef>
#include <span>

namespace p2prdma::direct {

/// A grant's mapping that survive_loss() knows of. Not movable: objects hold it where it was made.
class WatchedMapping {
public:
    /// \throws Error if there are too many
    explicit WatchedMapping(GrantMapping mapping);
    WatchedMapping(const WatchedMapping&) = delete;
    WatchedMapping& operator=(const WatchedMapping&) = delete;
    ~WatchedMapping();

    [[nodiscard]] std::span<volatile std::byte> span() const noexcept { return mapping_.span(); }

private:
    GrantMapping mapping_;
    std::size_t place_;
};

} // namespace p2prdma::direct
