// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

namespace p2prdma::l2 {

/// A mutex whose busy owner, the device's thread, lets all others go first.
class DeviceMutex {
public:
    void lock()
    {
        if (mutex_.try_lock())
            return;
        waiting_.fetch_add(1, std::memory_order_relaxed);
        mutex_.lock();
        waiting_.fetch_sub(1, std::memory_order_relaxed);
    }
    void unlock() { mutex_.unlock(); }

    /// Gives it to those who wait, if any, and takes it again.
    void pass_on()
    {
        if (waiting_.load(std::memory_order_relaxed) == 0)
            return;
        mutex_.unlock();
        while (waiting_.load(std::memory_order_relaxed) != 0)
            std::this_thread::yield();
        mutex_.lock();
    }

private:
    std::mutex mutex_;
    std::atomic<unsigned> waiting_ = 0;
};

} // namespace p2prdma::l2
