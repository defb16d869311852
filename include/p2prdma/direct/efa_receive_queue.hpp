// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/request.hpp"
#include "p2prdma/direct/request_ids.hpp"

#include <cstddef>
#include <span>

namespace p2prdma::direct {

/// An EFA adapter's receive queue: announces buffers for messages. See EfaSendQueue, which works
/// alike.
class P2PRDMA_API EfaReceiveQueue final {
public:
    struct Config {
        std::span<volatile std::byte> ring; ///< 16 bytes an entry; its start 8-aligned
        volatile std::uint32_t* doorbell = nullptr;
        std::uint32_t entries = 0;    ///< a power of two, 1 to 32768
        std::uint16_t generation = 0; ///< of the queue pair's number; see RequestIds
    };

    /// \throws Error bad_argument
    explicit EfaReceiveQueue(const Config& config);

    /// A buffer of at most 65535 bytes for one message, in a region with local write access.
    [[nodiscard]] Posted add(std::uint64_t id, const LocalBuffer& into) noexcept;
    /// Fence and doorbell for all that was added since the last; nothing if nothing was.
    void ring() noexcept;

    [[nodiscard]] std::uint32_t entries() const noexcept { return entries_; }
    [[nodiscard]] std::uint32_t room() const noexcept { return room_; }

    /// For the completion queue: ends the request that a completion names. False if there is none.
    [[nodiscard]] bool complete(std::uint16_t device_id, std::uint64_t& id) noexcept
    {
        const auto request = ids_.give_back(device_id);
        id = request.id;
        room_ += request.slots;
        return request.slots != 0;
    }

private:
    std::uint16_t producer_ = 0; // entries written, ever
    std::uint16_t rung_ = 0;     // of which the adapter was told
    std::uint32_t room_;
    std::uint32_t entries_;
    volatile std::uint64_t* ring_;
    volatile std::uint32_t* doorbell_;
    RequestIds ids_;
};

} // namespace p2prdma::direct
