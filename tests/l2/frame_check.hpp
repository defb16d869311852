// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/seal.hpp"

#include <cstddef>
#include <span>

namespace p2prdma::l2::wire {

/// Sets the CRC of what may be a frame, where its header says that it is, if that is inside; and
/// its seal, if it has one and there is a sealer.
void mend_as_frame(std::span<std::byte> bytes, Sealer* sealer = nullptr);

/// Parses any bytes. Whether what came out is right: it points into the bytes, and composed again
/// it gives the same bytes. What is refused is right.
bool parses_right(std::span<const std::byte> bytes);

} // namespace p2prdma::l2::wire
