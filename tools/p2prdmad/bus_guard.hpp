// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <span>

namespace p2prdma::daemon {

/// A mapping of the card that may be taken away at any time: an access then raises SIGBUS. While a
/// guard is there, the access finds zeroed memory instead, and tripped() tells.
class BusGuard {
public:
    /// `memory` is page-aligned and outlives the guard. At most 128 guards at once; the daemon's
    /// thread alone makes and ends them. \throws std::length_error
    explicit BusGuard(std::span<volatile std::byte> memory);
    BusGuard(const BusGuard&) = delete;
    BusGuard& operator=(const BusGuard&) = delete;
    ~BusGuard();

    bool tripped() const noexcept;

private:
    std::size_t slot_;
};

} // namespace p2prdma::daemon
