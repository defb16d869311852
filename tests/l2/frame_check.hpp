// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <span>

namespace p2prdma::l2::wire {

/// Sets the CRC of what may be a frame, where its header says that it is, if that is inside.
void mend_as_frame(std::span<std::byte> bytes);

/// Parses any bytes. Whether what came out is right: it points into the bytes, and composed again
/// it gives the same bytes. What is refused is right.
bool parses_right(std::span<const std::byte> bytes);

} // namespace p2prdma::l2::wire
