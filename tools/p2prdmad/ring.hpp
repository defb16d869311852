// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/area.hpp"
#include "tools/p2prdmad/message.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>

namespace p2prdma::daemon {

/// The card's kernel broke the rules of the rings, or left: the epoch cannot go on.
class EpochOver : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The ring into which the card's kernel puts requests.
class RequestRing {
public:
    explicit RequestRing(Area area) noexcept : area_(area) {}

    /// The next request, copied once; nothing if there is none.
    /// \throws EpochOver if the card's index is wild
    std::optional<Request> take();

private:
    Area area_;
    std::uint32_t tail_ = 0;
};

/// The ring into which the daemon puts replies.
class ReplyRing {
public:
    explicit ReplyRing(Area area) noexcept : area_(area) {}

    /// How many replies fit now. \throws EpochOver if the card's index is wild
    std::uint32_t room() const;
    /// Puts a reply. The caller has seen that there is room.
    void put(std::uint32_t epoch, const Request& request, const Reply& reply);

private:
    Area area_;
    std::uint32_t head_ = 0;
};

} // namespace p2prdma::daemon
