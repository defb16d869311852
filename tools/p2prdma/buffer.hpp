// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/mapping.hpp"
#include "p2prdma/memory.hpp"
#include "p2prdma/memory_region.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

struct ibv_pd;

namespace p2prdma::tool {

/// What an adapter knows memory by.
struct RegionKeys {
    std::uint64_t address = 0;
    std::uint64_t length = 0;
    std::uint32_t lkey = 0;
    std::uint32_t rkey = 0;
};

/// Memory that both the adapter and this process reach: of the host, or of a card.
class Buffer {
public:
    virtual ~Buffer() = default;

    virtual RegionKeys region() const noexcept = 0;
    /// Copies out of and into it. What was written is where the adapter fetches it on return.
    /// \throws Error card_gone
    virtual void read(std::uint64_t offset, std::span<std::byte> into) const = 0;
    virtual void write(std::uint64_t offset, std::span<const std::byte> data) = 0;

    /// Allocates and registers `length` bytes (> 0): on `card`, or of the host if there is none.
    /// `access`: IBV_ACCESS_* flags. \throws Error, Failure
    static std::unique_ptr<Buffer> make(const std::optional<Card>& card, ibv_pd* pd,
                                        std::uint64_t length, int access);
};

} // namespace p2prdma::tool
