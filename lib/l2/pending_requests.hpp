// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"
#include "lib/l2/unique_event.hpp"
#include "lib/l2/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace p2prdma::l2 {

/// A connect_request that nobody has answered yet.
struct PendingRequest {
    std::uint64_t id = 0;
    MacAddress peer;
    wire::Connect connect;
    std::vector<std::byte> private_data;
    Time heard = {};    ///< when it came last
    bool taken = false; ///< by a listener's owner
};

/// Who listens, and what waits for them: bounded, and of each attempt once however often its frame
/// comes. What its sender repeats no more is forgotten. Thread-safety: the engine's.
class PendingRequests {
public:
    static constexpr std::size_t limit = 1024;
    static constexpr Time forgotten_after = std::chrono::seconds(5);

    enum class Added : std::uint8_t { added, known, no_listener, full };

    /// False: the number is taken. \param event  rung while a request waits; outlives it
    bool listen(std::uint32_t service, unsigned backlog, UniqueEvent* event);
    void unlisten(std::uint32_t service) noexcept;
    [[nodiscard]] bool serves(std::uint32_t service) const noexcept;

    [[nodiscard]] Added add(const MacAddress& peer, const wire::Connect& connect,
                            std::span<const std::byte> private_data, Time now);
    /// The oldest that waits for this number; nullptr: none. It counts as taken.
    [[nodiscard]] const PendingRequest* take(std::uint32_t service, Time now) noexcept;
    [[nodiscard]] const PendingRequest* find(std::uint64_t id) const noexcept;
    void remove(std::uint64_t id) noexcept;
    void expire(Time now) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return requests_.size(); }

private:
    struct Service {
        std::size_t backlog = 0;
        UniqueEvent* event = nullptr;
    };
    [[nodiscard]] std::size_t waiting(std::uint32_t service) const noexcept;
    void update_events() noexcept;

    std::map<std::uint32_t, Service> services_;
    std::vector<PendingRequest> requests_;
    std::uint64_t ids_ = 0;
};

} // namespace p2prdma::l2
