// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/efa_completion_queue.hpp"

#include <cstdint>

namespace p2prdma::direct {

/// A queue pair's part in a completion queue while this lives: entries that nobody else may count
/// on, and completions of its number that go to its queues.
class Attachment {
public:
    /// What takes part. Either queue may be null.
    struct Queues {
        std::uint16_t number = 0;
        EfaSendQueue* send = nullptr;
        EfaReceiveQueue* receive = nullptr;
        std::uint32_t entries = 0; ///< that both may need at once
    };

    /// `claimed` counts the entries of the completion queue that are taken; both outlive this.
    /// \throws Error bad_argument if too few are left, or a queue pair of that number is attached
    Attachment(EfaCompletionQueue& queue, std::uint32_t& claimed, const Queues& queues);
    Attachment(const Attachment&) = delete;
    Attachment& operator=(const Attachment&) = delete;
    ~Attachment();

private:
    EfaCompletionQueue& queue_;
    std::uint32_t& claimed_;
    std::uint32_t entries_;
    std::uint16_t number_;
};

} // namespace p2prdma::direct
