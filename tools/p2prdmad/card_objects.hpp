// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/doorbell.hpp"
#include "p2prdma/memory.hpp"
#include "tools/p2prdmad/bus_guard.hpp"
#include "tools/p2prdmad/provider.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace p2prdma::daemon {

/// Memory of the pool for a client.
struct CardMemory final : Target {
    CardMemory(Memory allocated, bool uncached, bool read_only);

    int dmabuf() const noexcept override { return memory.fd(); }

    Memory memory;
};

/// Memory of the card as the daemon's CPU sees it, also while the card goes.
class GuardedMapping {
public:
    explicit GuardedMapping(const Memory& memory) : mapping_(memory.map()), guard_(mapping_.span())
    {
    }

    std::span<const volatile std::byte> span() const noexcept { return mapping_.span(); }

private:
    Mapping mapping_;
    BusGuard guard_;
};

/// Of a doorbell page: a store there counts and wakes, but leaves the last value as it is.
inline constexpr std::uint64_t doorbell_wake = 0x800;

/// A doorbell page as the daemon's CPU rings it, also while the card goes.
class MappedDoorbell {
public:
    explicit MappedDoorbell(const Doorbell& doorbell)
        : mapping_(doorbell.map()), guard_(mapping_.span())
    {
    }

    void ring(std::uint64_t value) noexcept { store(0, value); }
    /// Without a value.
    void wake() noexcept { store(doorbell_wake, 1); }
    /// Whether the card was found to be gone.
    bool tripped() const noexcept { return guard_.tripped(); }

private:
    void store(std::uint64_t offset, std::uint64_t value) noexcept;

    Mapping mapping_;
    BusGuard guard_;
};

/// A doorbell page for a client.
struct CardEvent final : Event {
    CardEvent(Doorbell opened, bool relayed, std::string why);

    int dmabuf() const noexcept override { return doorbell.fd(); }
    /// Raises a relayed event with a value, or without.
    void raise(std::optional<std::uint64_t> value) noexcept
    {
        value ? page_->ring(*value) : page_->wake();
    }

    Doorbell doorbell;

private:
    std::unique_ptr<MappedDoorbell> page_; ///< if it is relayed
};

} // namespace p2prdma::daemon
