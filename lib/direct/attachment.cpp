// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/direct/attachment.hpp"

#include "p2prdma/error.hpp"

#include <string>

namespace p2prdma::direct {

Attachment::Attachment(EfaCompletionQueue& queue, std::uint32_t& claimed, const Queues& queues)
    : queue_(queue), claimed_(claimed), entries_(queues.entries), number_(queues.number)
{
    if (entries_ > queue_.entries() - claimed_)
        throw Error(Errc::bad_argument,
                    "the completion queue has " + std::to_string(queue_.entries()) +
                        " entries, of which " + std::to_string(claimed_) +
                        " are claimed: too few for a queue of " + std::to_string(entries_));
    queue_.attach(number_, queues.send, queues.receive);
    claimed_ += entries_; // nothing throws from here on
}

Attachment::~Attachment()
{
    queue_.detach(number_);
    claimed_ -= entries_;
}

} // namespace p2prdma::direct
