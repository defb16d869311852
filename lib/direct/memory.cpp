// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/memory.hpp"

#include "lib/device_copy.hpp"
#include "lib/direct/target.hpp"

namespace p2prdma::direct {

Memory::Memory(const Session& session, std::uint64_t length, Caching caching)
{
    p2prdma_mem_alloc_request request = {};
    request.length = little(length);
    request.flags = little(caching == Caching::uncached ? std::uint32_t{P2PRDMA_GRANT_UC} : 0u);
    const auto reply = session.link()->ask<p2prdma_mem_alloc_reply>(P2PRDMA_OP_MEM_ALLOC, request,
                                                                    "allocate card memory");
    target_ =
        std::make_shared<Target>(session.link(), P2PRDMA_OP_MEM_FREE, little(reply.id),
                                 little(reply.grant), little(std::uint64_t{reply.length}), true);
    bytes_ = target_->mapping.span();
}

std::size_t Memory::write(std::size_t offset, std::span<const std::byte> from) noexcept
{
    return internal::copy_to(bytes_, offset, from);
}

std::size_t Memory::read(std::size_t offset, std::span<std::byte> into) const noexcept
{
    return internal::copy_from(bytes_, offset, into);
}

} // namespace p2prdma::direct
