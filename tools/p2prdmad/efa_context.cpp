// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/efa_context.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>

namespace p2prdma::daemon {

EfaContext::EfaContext(ibv_device& device)
    : context_(made(ibv_open_device(&device), "to be opened")),
      pd_(made(ibv_alloc_pd(context_.get()), "a protection domain"))
{
    // Events are taken when there are any; the loop never waits for one.
    const int flags = ::fcntl(context_->async_fd, F_GETFL);
    if (flags < 0 || ::fcntl(context_->async_fd, F_SETFL, flags | O_NONBLOCK) < 0)
        throw Refusal(errno, "cannot watch the adapter");
}

void EfaContext::require_alive() const
{
    if (!alive_)
        throw Refusal(ENODEV, "the adapter has gone");
}

void EfaContext::abandon() noexcept
{
    alive_ = false;
    for (const auto& [rank, resident] : residents_)
        resident->dispose();
    pd_.reset();
    context_.reset();
}

bool EfaContext::take_events() noexcept
{
    bool going = false;
    ibv_async_event event = {};
    while (alive_ && ibv_get_async_event(context_.get(), &event) == 0) {
        going = going || event.event_type == IBV_EVENT_DEVICE_FATAL;
        ibv_ack_async_event(&event);
    }
    return going;
}

} // namespace p2prdma::daemon
