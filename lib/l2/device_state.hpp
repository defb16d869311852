// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/alarm_clock.hpp"
#include "lib/l2/device_mutex.hpp"
#include "lib/l2/engine.hpp"
#include "lib/l2/process_pager.hpp"
#include "lib/l2/unique_event.hpp"
#include "p2prdma/l2/device.hpp"
#include "p2prdma/unique_fd.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace p2prdma::l2 {

/// A device's engine, the lock around it, and whoever moves it on: a thread of its own, unless
/// others do. Those who poll or wait attend to the device themselves; the thread then only looks
/// now and then whether they still do.
struct Device::State {
    using Clock = std::chrono::steady_clock;
    using Lock = std::unique_lock<DeviceMutex>;

    /// \throws Error
    State(std::string interface, const DeviceOptions& options);
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    [[nodiscard]] static Time now() noexcept { return Clock::now().time_since_epoch(); }

    // With the lock held:

    /// After something was posted: sends it, and sees to it that timers are looked after.
    void kick() noexcept;
    /// The next timer may have come nearer: whoever sleeps and attends must wake in time for it.
    void mind_timers() noexcept;
    /// Moves on once; whoever calls it attends to the device.
    bool progress() noexcept;
    /// The same for one who polls: timers and pages wait for a few calls that find no frames.
    bool look() noexcept;
    /// Who has polled sleeps now by means that are not ours: the thread attends at once.
    void leave_to_thread() noexcept;
    /// How one who sleeps hears of what another thread has found for him.
    struct Elsewhere {
        int event = -1;                 ///< readable then
        CompletionRing* ring = nullptr; ///< whose event it is, which is to be armed
    };
    /// Moves on until `done()`, or the time is over; gives the lock away while it sleeps.
    template <class Done>
    bool drive(Lock& lock, Clock::time_point until, const Elsewhere& elsewhere, Done&& done)
    {
        for (;;) {
            (void)progress();
            const bool is_done = done();
            if (is_done || Clock::now() >= until) {
                mind_timers(); // others may still sleep
                return is_done;
            }
            wait(lock, until.time_since_epoch(), elsewhere);
        }
    }
    /// A descriptor of port and pager, both at once; -1: there is none left.
    [[nodiscard]] int watch() noexcept;
    /// \throws Error  a bridge leads to here, and neither secret nor trust makes up for it
    void check_segment() const;

    mutable DeviceMutex mutex;
    const std::string interface;
    const DeviceOptions options;
    const UniqueFd claim; ///< the only device here on this interface and EtherType
    const std::unique_ptr<Port> port;
    ProcessPager pager;
    Engine engine;

private:
    void run() noexcept;
    void sleep(Lock& lock, Time until, int event) noexcept;
    void wait(Lock& lock, Time until, const Elsewhere& elsewhere) noexcept;
    void sleep_while_attended(Lock& lock) noexcept;

    UniqueFd epoll_;   ///< of watch(), from the first call on: it makes each frame dearer
    UniqueEvent wake_; ///< the thread
    AlarmClock alarm_; ///< of the sleepers
    Time attended_until_ = Time::min();
    unsigned sleepers_ = 0; ///< that wake when there is work, of the thread and those in wait()
    unsigned idle_looks_ = 0;
    bool stop_ = false;
    std::thread thread_;
};

} // namespace p2prdma::l2
