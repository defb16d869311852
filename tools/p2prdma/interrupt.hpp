// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"

namespace p2prdma::tool {

/// SIGINT and SIGTERM as a descriptor: they no longer end the process but make check() throw, so
/// that destructors run. One per process; other threads must be started after it.
class Interrupt {
public:
    Interrupt();

    /// Readable once a signal has come.
    int fd() const noexcept { return fd_.get(); }
    /// \throws Failure Exit::interrupted if a signal has come
    void check() const;

private:
    UniqueFd fd_;
};

} // namespace p2prdma::tool
