// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

/// Fences between memory that devices share. std::atomic fences order cached memory only: they do
/// not drain write-combining buffers.
namespace p2prdma::internal {

/// Stores before it, also write-combined ones, are seen by devices before stores after it.
inline void store_fence() noexcept
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("sfence" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("dmb oshst" ::: "memory");
#else
    __sync_synchronize();
#endif
}

/// Loads after it are not older than loads before it.
inline void load_fence() noexcept
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("lfence" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("dmb oshld" ::: "memory");
#else
    __sync_synchronize();
#endif
}

} // namespace p2prdma::internal
