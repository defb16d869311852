// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma {

/// A grant of the host in this process's address space: a range of the card's pool, a window, or a
/// doorbell page. Made by LocalCard::map(). Move-only; unmaps when it goes.
///
/// It keeps the client alive on the host, also after its LocalCard has gone. Once the host has
/// taken the grant back, or is gone, any access raises SIGBUS. A window that the host has closed
/// without that drops stores and loads all ones.
///
/// Use aligned accesses of 4 or 8 bytes, not memcpy(), which may store single bytes.
///
/// Thread-safety: as for plain memory: threads may use disjoint ranges at the same time.
class P2PRDMA_API GrantMapping final {
public:
    GrantMapping() noexcept = default;
    GrantMapping(GrantMapping&& other) noexcept;
    GrantMapping& operator=(GrantMapping&& other) noexcept;
    GrantMapping(const GrantMapping&) = delete;
    GrantMapping& operator=(const GrantMapping&) = delete;
    ~GrantMapping();

    [[nodiscard]] std::size_t size() const noexcept { return memory_.size(); }
    [[nodiscard]] bool empty() const noexcept { return memory_.empty(); }
    /// From the grant's first byte on.
    [[nodiscard]] std::span<volatile std::byte> span() const noexcept { return memory_; }
    /// Unmaps now: what a client does before it asks the host to destroy what it has mapped.
    void unmap() noexcept;

private:
    friend class LocalCard;
    explicit GrantMapping(std::span<volatile std::byte> memory) noexcept : memory_(memory) {}

    std::span<volatile std::byte> memory_;
};

} // namespace p2prdma
