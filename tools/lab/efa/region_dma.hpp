// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/efa/memory_region.hpp"
#include "tools/lab/fabric.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace lab::efa {

/// Some bytes of a region, which covers them.
struct RegionPiece {
    std::shared_ptr<MemoryRegion> region;
    std::uint64_t address;
    std::uint64_t length;
};

/// `error` is 0 or an errno. Called once, as DmaEngine calls its own.
using TransferDone = std::function<void(int error)>;

/// Reads the pieces, in order, into the packet's payload from `offset` on, and accounts for the
/// routes to each region.
void gather(DmaEngine& dma, const std::vector<RegionPiece>& pieces, const PacketPtr& packet,
            std::size_t offset, TransferDone done);
/// Writes the payload's beginning to the pieces, in order.
void scatter(DmaEngine& dma, const std::vector<RegionPiece>& pieces, const PacketPtr& packet,
             TransferDone done);

} // namespace lab::efa
