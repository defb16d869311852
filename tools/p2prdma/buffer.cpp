// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/buffer.hpp"

#include "tools/p2prdma/guard.hpp"
#include "tools/p2prdma/host_memory.hpp"

#include <algorithm>

namespace p2prdma::tool {
namespace {

RegionKeys keys_of(const MemoryRegion& region) noexcept
{
    return {region.address(), region.length(), region.lkey(), region.rkey()};
}

class HostBuffer final : public Buffer {
public:
    HostBuffer(ibv_pd* pd, std::uint64_t length, int access)
        : memory_(length), region_(pd, memory_.bytes(), access)
    {
    }
    RegionKeys region() const noexcept override { return keys_of(region_); }
    void read(std::uint64_t offset, std::span<std::byte> into) const override
    {
        std::ranges::copy(memory_.bytes().subspan(offset, into.size()), into.begin());
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) override
    {
        std::ranges::copy(data, memory_.bytes().subspan(offset, data.size()).begin());
    }

private:
    HostMemory memory_;
    MemoryRegion region_; // goes before the memory
};

class CardBuffer final : public Buffer {
public:
    CardBuffer(const Card& card, ibv_pd* pd, std::uint64_t length, int access)
        : memory_(card.allocate(length)), mapping_(memory_.map()), region_(pd, memory_, access)
    {
    }
    RegionKeys region() const noexcept override { return keys_of(region_); }
    void read(std::uint64_t offset, std::span<std::byte> into) const override
    {
        guarded_read(mapping_, offset, into);
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) override
    {
        guarded_write(mapping_, offset, data);
    }

private:
    Memory memory_;
    Mapping mapping_;
    MemoryRegion region_;
};

} // namespace

std::unique_ptr<Buffer> Buffer::make(const std::optional<Card>& card, ibv_pd* pd,
                                     std::uint64_t length, int access)
{
    if (card)
        return std::make_unique<CardBuffer>(*card, pd, length, access);
    return std::make_unique<HostBuffer>(pd, length, access);
}

} // namespace p2prdma::tool
