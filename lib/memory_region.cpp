// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/memory_region.hpp"

#include "lib/internal.hpp"

#include <cerrno>
#include <optional>

#include <infiniband/verbs.h>

namespace p2prdma {
namespace {

/// What the kernel says about the adapter and the memory's card; nothing if it cannot be asked.
std::optional<Reach> ask_reach(const ibv_pd& pd, const Memory& memory)
{
    try {
        if (memory.card())
            return Card::open(*memory.card()).reach(*pd.context->device);
    } catch (const Error&) {
        // The registration's own error is told then.
    }
    return std::nullopt;
}

} // namespace

MemoryRegion::MemoryRegion(ibv_pd* pd, std::span<std::byte> memory, int access)
    : region_(ibv_reg_mr(pd, memory.data(), memory.size(), access)),
      address_(reinterpret_cast<std::uintptr_t>(memory.data())), length_(memory.size())
{
    if (!region_)
        throw internal::host_region_error(errno, pd->context->device->name, memory.size());
}

MemoryRegion::MemoryRegion(ibv_pd* pd, const Memory& memory, int access)
    : region_(ibv_reg_dmabuf_mr(pd, 0, memory.length(), 0, memory.fd(), access)),
      length_(memory.length())
{
    if (region_)
        return;
    const int error = errno;
    const auto reach = ask_reach(*pd, memory);
    throw internal::region_error(error, pd->context->device->name, reach ? &*reach : nullptr);
}

std::uint32_t MemoryRegion::lkey() const noexcept
{
    return region_->lkey;
}

std::uint32_t MemoryRegion::rkey() const noexcept
{
    return region_->rkey;
}

void MemoryRegion::Deregister::operator()(ibv_mr* region) const noexcept
{
    ibv_dereg_mr(region);
}

} // namespace p2prdma
