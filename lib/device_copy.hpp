// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <span>

namespace p2prdma::internal {

/// Copies to and from a device's memory at `offset`, by naturally aligned accesses of 8 bytes, and
/// of single ones at the ends: no byte twice, none beside the range. Return the bytes copied:
/// fewer than asked only where the range reaches beyond the memory's end.
std::size_t copy_to(std::span<volatile std::byte> memory, std::size_t offset,
                    std::span<const std::byte> from) noexcept;
std::size_t copy_from(std::span<volatile std::byte> memory, std::size_t offset,
                      std::span<std::byte> into) noexcept;

} // namespace p2prdma::internal
