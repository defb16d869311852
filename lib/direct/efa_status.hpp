// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/status.hpp"

namespace p2prdma::direct::efa {

/// What a completion's status byte means.
[[nodiscard]] inline Status from_efa(std::uint8_t status) noexcept
{
    constexpr std::uint8_t consecutive = 15; // the adapter's numbers are those of Status so far
    constexpr std::uint8_t feature_mismatch = 18;
    if (status <= consecutive)
        return static_cast<Status>(status);
    return status == feature_mismatch ? Status::remote_feature_mismatch : Status::unknown;
}

} // namespace p2prdma::direct::efa
