// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/efa/admin_layout.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace lab::efa {

/// `error` is 0 or an errno (EINVAL: the list itself is wrong); else `pages` has the addresses.
using PageListDone = std::function<void(int error, std::vector<std::uint64_t> pages)>;

/// Fetches a page list of `count` addresses that lies in memory as one piece.
void fetch_page_list(DmaEngine& dma, const admin::ControlBuffer& list, std::uint64_t count,
                     PageListDone done);

/// Fetches a page list of `count` addresses that is spread over 4 KiB pages, whose addresses are
/// in chunks; `first` is the first chunk, and each full chunk ends with where the next one is.
void fetch_indirect_page_list(DmaEngine& dma, const admin::ControlBuffer& first,
                              std::uint64_t count, PageListDone done);

} // namespace lab::efa
