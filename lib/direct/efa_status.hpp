// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/status.hpp"

namespace p2prdma::direct::efa {

/// What a completion's status byte means.
[[nodiscard]] Status from_efa(std::uint8_t status) noexcept;

} // namespace p2prdma::direct::efa
