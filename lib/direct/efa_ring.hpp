// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace p2prdma::direct::efa {

/// Checks that a ring lies where its entries can be accessed by whole words, and that all of its
/// entries, a power of two of one of these sizes, lie within `memory`; returns its first word.
/// \throws Error bad_argument
[[nodiscard]] volatile std::uint64_t* checked_ring(std::span<volatile std::byte> memory,
                                                   std::uint32_t entries, std::uint32_t entry_size,
                                                   std::initializer_list<std::uint32_t> sizes);
/// \throws Error bad_argument unless it is an address for 4-byte stores
[[nodiscard]] volatile std::uint32_t* checked_doorbell(volatile std::uint32_t* doorbell);

} // namespace p2prdma::direct::efa
