// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>
#include <functional>

namespace p2prdma::l2 {

/// 64 random bits at a call: the kernel's on a device, those of a seed in a simulation.
using RandomSource = std::function<std::uint64_t()>;

} // namespace p2prdma::l2
