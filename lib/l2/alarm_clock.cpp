// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/alarm_clock.hpp"

#include "p2prdma/error.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/timerfd.h>

namespace p2prdma::l2 {

AlarmClock::AlarmClock() : fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK))
{
    if (!fd_)
        throw Error({errno, std::system_category()}, "cannot make a timer");
}

void AlarmClock::set(Time due, Time now) noexcept
{
    if (set_to_ > now && due >= set_to_)
        return;
    set_to_ = std::max(due, now + Time(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(set_to_);
    itimerspec when = {};
    when.it_value = {static_cast<time_t>(seconds.count()),
                     static_cast<long>((set_to_ - seconds).count())};
    (void)::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

} // namespace p2prdma::l2
