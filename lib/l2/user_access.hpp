// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <span>

/// Access to memory of the application's that may be unmapped, truncated or protected at any time,
/// by any thread, without a signal that the application sees.
///
/// It is a plain memcpy(), from which a handler of SIGSEGV and SIGBUS, which stays installed, leaps
/// out; all other signals go on to the handler that was there before. That costs a few
/// nanoseconds a copy, where a system call costs a few hundred. Where an application replaced the
/// handler, or blocks these signals on the calling thread, which is looked at every 256 copies of a
/// thread, process_vm_readv() and process_vm_writev() on the own process do the same more slowly.
///
/// Pages that are absent come while the copy waits, as in any access; but if that takes more than
/// 10 to 20 ms, as with a userfaultfd, the copy ends: see copy_watch.
///
/// Thread-safety: any thread, any time after prepare().
namespace p2prdma::l2::user_access {

/// Installs the handler, if it is not in use. \throws Error if that is not possible
void prepare();

/// How many bytes from the beginning on were surely copied: all, unless memory of the application's
/// was not accessible, or not soon.
[[nodiscard]] std::size_t copy_to(void* user, std::span<const std::byte> from) noexcept;
[[nodiscard]] std::size_t copy_from(std::span<std::byte> to, const void* user) noexcept;

/// Has one page brought without changing it, however long it takes. False: it cannot be accessed
/// so.
[[nodiscard]] bool touch(void* user, bool for_writing) noexcept;

/// Whether the handler is in use on this thread; looks anew.
[[nodiscard]] bool is_guarded() noexcept;

} // namespace p2prdma::l2::user_access
