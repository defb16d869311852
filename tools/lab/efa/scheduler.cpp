// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/scheduler.hpp"

#include "tools/lab/event_loop.hpp"

#include <utility>

namespace lab::efa {

namespace {

/// Packets that are sent before other work of the event loop gets its turn.
constexpr unsigned burst = 16;

} // namespace

void Scheduler::activate(std::shared_ptr<Transmitter> transmitter)
{
    if (std::exchange(transmitter->scheduled_, true))
        return;
    turn_.push_back(std::move(transmitter));
    post();
}

void Scheduler::post()
{
    if (std::exchange(posted_, true))
        return;
    loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired())
            run();
    });
}

void Scheduler::run()
{
    posted_ = false;
    for (unsigned i = 0; i < burst && !turn_.empty(); ++i) {
        auto transmitter = std::move(turn_.front());
        turn_.pop_front();
        transmitter->scheduled_ = false;
        if (transmitter->transmit())
            activate(std::move(transmitter));
    }
    if (!turn_.empty())
        post();
}

} // namespace lab::efa
