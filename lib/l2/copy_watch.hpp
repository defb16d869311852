// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <atomic>
#include <cstdint>

#include <pthread.h>
#include <sys/types.h>

/// Gets threads out of a copy that takes longer than some milliseconds: one that waits for a page
/// of a userfaultfd, which went just before. A thread looks at them a hundred times a second as
/// long as copies are made, and sleeps otherwise; it queues the signal SIGURG, which nobody minds
/// who does not know it, to a thread that it finds asleep in the same copy twice. Where that signal
/// is blocked, or somebody else's, it is SIGBUS or SIGSEGV, without which there is no such copy.
namespace p2prdma::l2::copy_watch {

constexpr unsigned period_ms = 10; ///< a copy has at least this, and at most twice as long

/// A thread that makes copies; its handler of the signal tells by the address who sent it.
struct Slot {
    std::atomic<std::uint32_t> sequence = 0; ///< odd: a copy is under way
    std::uint32_t seen = 0;                  ///< by the watch
    pthread_t thread = {};
    pid_t number = 0; ///< the thread's, as the kernel counts
    Slot* next = nullptr;
};

extern std::atomic<bool> awake;
void wake() noexcept;

/// Not yet watched; on the slot's thread. \throws std::system_error no thread can be had
void add(Slot& slot);
void remove(Slot& slot) noexcept;
/// Gets a thread, which must live, out of a copy or a touch, if it is in one.
void interrupt(Slot& slot) noexcept;

inline void begin(Slot& slot) noexcept
{
    slot.sequence.store(slot.sequence.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
    if (!awake.load(std::memory_order_relaxed))
        wake();
}
inline void end(Slot& slot) noexcept
{
    slot.sequence.store(slot.sequence.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
}

} // namespace p2prdma::l2::copy_watch
