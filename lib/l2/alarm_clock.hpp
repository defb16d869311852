// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"
#include "p2prdma/unique_fd.hpp"

namespace p2prdma::l2 {

/// A descriptor for those who sleep in poll(), readable when a time has come. Unlike a time limit
/// of each sleep it stays set from one to the next, and who brings a time nearer sets it for all.
/// It may ring too early, never too late.
///
/// Thread-safety: the device's lock.
class AlarmClock {
public:
    /// \throws Error  no file descriptor can be had
    AlarmClock();

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// Rings at `due`, unless it is set to an earlier time. \param now  what has rung is silenced
    void set(Time due, Time now) noexcept;

private:
    UniqueFd fd_;
    Time set_to_ = Time::max();
};

} // namespace p2prdma::l2
