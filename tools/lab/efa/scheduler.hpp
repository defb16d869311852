// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <deque>
#include <memory>

namespace lab {
class EventLoop;
}

namespace lab::efa {

/// Something that has packets to send.
class Transmitter {
public:
    virtual ~Transmitter() = default;
    /// Sends one packet at most. True if there could be another right now.
    virtual bool transmit() = 0;

private:
    friend class Scheduler;
    bool scheduled_ = false;
};

/// Shares the adapter between its transmitters: one packet each in turn, and a pause for the
/// event loop's other work after a few.
class Scheduler {
public:
    explicit Scheduler(EventLoop& loop) : loop_(loop) {}

    /// `transmitter` has something to send, perhaps.
    void activate(std::shared_ptr<Transmitter> transmitter);

private:
    void post();
    void run();

    EventLoop& loop_;
    std::deque<std::shared_ptr<Transmitter>> turn_;
    bool posted_ = false;
    std::shared_ptr<int> alive_ = std::make_shared<int>();
};

} // namespace lab::efa
