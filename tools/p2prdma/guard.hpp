// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/mapping.hpp"

#include <cstddef>
#include <span>

namespace p2prdma::tool {

// Accesses to a card's memory that may go away: SIGBUS becomes an exception. For this command's
// one thread; a SIGBUS elsewhere ends the process as always.

/// Mapping::read() of the whole of `into`. \throws Error card_gone
void guarded_read(const Mapping& from, std::size_t offset, std::span<std::byte> into);
/// Mapping::write() of the whole of `data`, and flush(). \throws Error card_gone
void guarded_write(Mapping& to, std::size_t offset, std::span<const std::byte> data);

} // namespace p2prdma::tool
