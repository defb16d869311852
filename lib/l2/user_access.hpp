// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/copy_watch.hpp"

#include <cstddef>
#include <cstdint>
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
/// 10 to 20 ms, as with a userfaultfd, the copy ends: see copy_watch. The system calls would wait
/// for ever; so they are made only for pages that were there just before. Only an application that
/// has both its own handlers and a userfaultfd that never answers, and takes a page away in that
/// moment, can hold such a copy up.
///
/// Thread-safety: any thread, any time after prepare().
namespace p2prdma::l2::user_access {

/// Installs the handler, if it is not in use. \throws Error if that is not possible
void prepare();

/// How many bytes from the beginning on were surely copied: all, unless memory of the application's
/// was not accessible, or not soon.
[[nodiscard]] std::size_t copy_to(void* user, std::span<const std::byte> from) noexcept;
[[nodiscard]] std::size_t copy_from(std::span<std::byte> to, const void* user) noexcept;

enum class Touched : std::uint8_t {
    all,
    not_accessible, ///< some cannot be accessed so
    interrupted,    ///< by copy_watch::interrupt() of own_slot()
    not_guarded,    ///< nothing was done: the handler is not in use
};
/// Has pages brought without changing them, however long it takes, in user mode.
[[nodiscard]] Touched touch(void* user, std::size_t length, bool for_writing) noexcept;
/// By which the calling thread can be got out of touch(), as long as it lives; after is_guarded().
[[nodiscard]] copy_watch::Slot& own_slot() noexcept;

/// Whether the handler is in use for SIGSEGV, SIGBUS or SIGURG, on threads that do not block it.
[[nodiscard]] bool is_handled(int signal) noexcept;

/// Whether the handler is in use on this thread; looks anew.
[[nodiscard]] bool is_guarded() noexcept;

} // namespace p2prdma::l2::user_access
