// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/interrupt.hpp"

#include "tools/p2prdma/failure.hpp"

#include <cerrno>
#include <csignal>

#include <poll.h>
#include <sys/signalfd.h>

namespace p2prdma::tool {

Interrupt::Interrupt()
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    fd_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd_)
        throw system_failure(errno, "cannot watch for signals");
}

void Interrupt::check() const
{
    // The signal stays pending: every later check throws too.
    pollfd watched = {fd_.get(), POLLIN, 0};
    if (::poll(&watched, 1, 0) > 0)
        throw Failure(Exit::interrupted, "interrupted", "interrupted by a signal");
}

} // namespace p2prdma::tool
