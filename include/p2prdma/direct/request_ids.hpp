// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <cstdint>
#include <memory>

namespace p2prdma::direct {

/// Maps a user's 64-bit ids to the 16-bit ones in an adapter's descriptors, for as many requests
/// as may be outstanding, which complete in any order. Allocates in the constructor only.
///
/// An adapter's id carries a generation, so that a completion left over from a queue of the same
/// number is not taken for one of this queue.
class P2PRDMA_API RequestIds final {
public:
    /// \param entries     1 to 32768: how many may be outstanding
    /// \param generation  told apart as far as the bits that `entries` leaves go
    RequestIds(std::uint32_t entries, std::uint16_t generation);

    /// What take() kept.
    struct Request {
        std::uint64_t id = 0;
        std::uint16_t slots = 0; ///< 0: there was no such request outstanding
    };

    /// An adapter's id for `id`; at most `entries` may be taken at a time.
    /// \param slots  queue entries that the request's completion gives back, > 0
    [[nodiscard]] std::uint16_t take(std::uint64_t id, std::uint16_t slots) noexcept
    {
        const std::uint16_t index = free_[--free_count_];
        requests_[index] = {id, slots};
        return static_cast<std::uint16_t>(index | tag_);
    }
    /// Ends a request; any value may be given, as it is a device that says it.
    [[nodiscard]] Request give_back(std::uint16_t device_id) noexcept
    {
        const std::uint32_t index = device_id & mask_;
        if ((device_id ^ index) != tag_)
            return {};
        const Request request = requests_[index]; // there is one for any index
        if (request.slots != 0) {
            requests_[index].slots = 0;
            free_[free_count_++] = static_cast<std::uint16_t>(index);
        }
        return request;
    }
    /// The adapter's id that all requests without an own one share.
    [[nodiscard]] std::uint16_t shared() const noexcept
    {
        return static_cast<std::uint16_t>(entries_ | tag_);
    }

private:
    std::unique_ptr<Request[]> requests_;
    std::unique_ptr<std::uint16_t[]> free_;
    std::uint32_t free_count_;
    std::uint32_t entries_;
    std::uint32_t mask_; // the bits that hold 0 to entries_
    std::uint32_t tag_;  // the generation, in the others
};

} // namespace p2prdma::direct
