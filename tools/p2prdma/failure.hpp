// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <stdexcept>
#include <string>

namespace p2prdma::tool {

/// The command's exit status, documented in Documentation/command.rst; also sent to the peer.
enum class Exit {
    ok = 0,
    failed = 1,          ///< none of the below
    usage = 2,           ///< the command line is wrong
    no_device = 3,       ///< no such card or RDMA device, or it has gone
    no_space = 4,        ///< the card or the disk is full
    unreachable = 5,     ///< the kernel refuses peer-to-peer traffic between card and adapter
    peer_lost = 6,       ///< the other machine cannot be reached, refuses, or has gone
    digest_mismatch = 7, ///< the bytes that arrived are not those that were sent
    interrupted = 130,   ///< SIGINT or SIGTERM
};

/// Why the command fails: one sentence, a name for programs ("disk_full") and the exit status.
class Failure : public std::runtime_error {
public:
    Failure(Exit status, std::string code, const std::string& sentence)
        : std::runtime_error(sentence), status_(status), code_(std::move(code))
    {
    }

    Exit status() const noexcept { return status_; }
    const std::string& code() const noexcept { return code_; }

    /// The same for any exception: the library's causes each have their status and name.
    static Failure of(const std::exception& error);

private:
    Exit status_;
    std::string code_;
};

/// "doing WHAT: the system's text for error", as Exit::failed or, out of space, Exit::no_space.
Failure system_failure(int error, const std::string& what);

} // namespace p2prdma::tool
