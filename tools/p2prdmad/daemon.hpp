// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/unique_fd.hpp"
#include "tools/p2prdmad/log.hpp"
#include "tools/p2prdmad/options.hpp"

#include <string>

namespace p2prdma::daemon {

class CardService;

/// Serves a card until a signal comes, through resets of the card and restarts of its machine. All
/// is done on one thread: calls of libibverbs are short, and everything else does not wait.
class Daemon {
public:
    /// Takes SIGINT and SIGTERM. \throws p2prdma::Error
    Daemon(Options options, Log& log);

    /// Returns when a signal has come.
    /// \throws p2prdma::Error: there is no such card or adapter, or another daemon serves it
    void run();

private:
    enum class End {
        stopped,  ///< by a signal
        epoch,    ///< the card's machine left, or broke the rules
        reopened, ///< the card was reset
    };

    End serve_card();
    End serve_epoch(CardService& service);
    bool pause(int milliseconds);
    bool is_loss(const std::exception& error) const;

    Options options_;
    Log& log_;
    UniqueFd signals_;
    bool seen_ = false; ///< the card was served once
};

} // namespace p2prdma::daemon
