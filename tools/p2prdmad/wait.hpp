// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/message.hpp"
#include "tools/p2prdmad/services.hpp"

#include <functional>
#include <optional>
#include <variant>

#include <poll.h>

namespace p2prdma::daemon {

/// A request that is answered later.
struct Wait {
    /// Tries again: the reply, or nothing yet. `expired`: there is no later, so it must answer.
    std::function<std::optional<Reply>(bool expired)> resume;
    Clock::duration limit = {}; ///< expires after that
    /// What poll() is to wait for; with descriptor -1 it is tried again now and then.
    std::function<pollfd()> watch = [] { return pollfd{-1, 0, 0}; };
};

/// What becomes of a request.
using Outcome = std::variant<Reply, Wait>;

} // namespace p2prdma::daemon
