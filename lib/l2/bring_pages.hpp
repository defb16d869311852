// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/pager.hpp"

#include <cstddef>

namespace p2prdma::l2 {

/// Has pages brought, and returns when they are there: by touching each, or, where the handler that
/// this needs is not in use, by madvise(MADV_POPULATE_READ or _WRITE). Takes as long as that takes,
/// for ever if a userfaultfd does not answer; but a touch can be interrupted.
/// \return 0; EINTR: by copy_watch::interrupt(); EFAULT: some are not mapped, not accessible so, or
///         beyond the end of their file;
///         EIO: they cannot be read, or there is no memory for them
[[nodiscard]] int bring_pages(const void* address, std::size_t length, Pager::Need need) noexcept;

} // namespace p2prdma::l2
