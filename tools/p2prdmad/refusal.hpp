// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <stdexcept>
#include <string>

namespace p2prdma::daemon {

/// Why a request is refused: the errno for the card, a sentence for the log.
class Refusal : public std::runtime_error {
public:
    Refusal(int error, const std::string& sentence) : std::runtime_error(sentence), error_(error) {}

    int error() const noexcept { return error_; }

    /// The same for any exception: the library's causes each have their errno.
    static Refusal of(const std::exception& error);

private:
    int error_;
};

} // namespace p2prdma::daemon
