// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

namespace lab {

/// The one thread of the lab server: file descriptors, deferred work and timers.
///
/// Not thread-safe; all methods are called from the loop's own thread. Callbacks may call any
/// method, also unwatch() of the descriptor that they serve.
class EventLoop {
public:
    using Callback = std::function<void()>;
    using Clock = std::chrono::steady_clock;
    using TimerId = std::uint64_t;

    EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Calls `readable` whenever `fd` can be read or has hung up. The caller keeps the descriptor.
    void watch(int fd, Callback readable);
    /// Also asks to be told when `fd` can be written; an empty callback ends that.
    void watch_writable(int fd, Callback writable);
    /// Leaves what can be read from a watched descriptor where it is, or ends that. A hang-up is
    /// still told.
    void pause(int fd, bool paused);
    void unwatch(int fd);

    /// Runs `work` after the current callback has returned, in the order posted. This is how a
    /// device defers what must not happen before QEMU has the reply to a register access.
    void post(Callback work);

    TimerId after(std::chrono::nanoseconds delay, Callback work);
    void cancel(TimerId timer);

    /// Serves until stop().
    void run();
    /// One round: waits at most `timeout` for something to do. For tests.
    void run_once(std::chrono::milliseconds timeout);
    void stop() { stopped_ = true; }

private:
    struct Watch {
        Callback readable;
        Callback writable;
        bool paused = false;
    };

    using Timers = std::multimap<Clock::time_point, std::pair<TimerId, Callback>>;

    void set_events(int fd, int operation, const Watch& watch);
    void dispatch(int fd, std::uint32_t events);
    void run_posted();
    void run_timers();
    std::chrono::nanoseconds wait_time(std::chrono::nanoseconds limit) const;
    void round(std::chrono::nanoseconds limit);

    UniqueFd epoll_;
    bool stopped_ = false;
    std::unordered_map<int, Watch> watches_;
    std::vector<Callback> posted_;
    Timers timers_;
    std::unordered_map<TimerId, Timers::iterator> timer_index_;
    TimerId next_timer_ = 1;
};

} // namespace lab
