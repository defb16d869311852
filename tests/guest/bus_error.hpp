// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <csetjmp>
#include <csignal>
#include <cstdint>

#include <unistd.h>

namespace uapi {

inline thread_local sigjmp_buf bus_error_escape;
inline thread_local volatile std::sig_atomic_t bus_error_expected = 0;

inline void bus_error_handler(int)
{
    if (!bus_error_expected)
        ::_exit(135); // not one that was asked for
    siglongjmp(bus_error_escape, 1);
}

/// While it lives, a SIGBUS inside bus_error() makes that return true, in any thread.
class BusErrorHandler {
public:
    BusErrorHandler()
    {
        struct sigaction action = {};
        action.sa_handler = bus_error_handler;
        ::sigaction(SIGBUS, &action, &old_);
    }
    BusErrorHandler(const BusErrorHandler&) = delete;
    BusErrorHandler& operator=(const BusErrorHandler&) = delete;
    ~BusErrorHandler() { ::sigaction(SIGBUS, &old_, nullptr); }

private:
    struct sigaction old_ = {};
};

/// Reads a word and writes it back; true if that raised SIGBUS.
inline bool bus_error(volatile std::uint64_t& word)
{
    if (sigsetjmp(bus_error_escape, 1) != 0) {
        bus_error_expected = 0;
        return true;
    }
    bus_error_expected = 1;
    word = word;
    bus_error_expected = 0;
    return false;
}

} // namespace uapi
