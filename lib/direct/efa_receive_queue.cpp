// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/efa_receive_queue.hpp"

#include "lib/direct/efa_ring.hpp"
#include "p2prdma/direct/efa_layout.hpp"
#include "p2prdma/fence.hpp"

namespace p2prdma::direct {

EfaReceiveQueue::EfaReceiveQueue(const Config& config)
    : room_(config.entries), entries_(config.entries),
      ring_(efa::checked_ring(config.ring, config.entries, efa::receive::entry_size,
                              {efa::receive::entry_size})),
      doorbell_(efa::checked_doorbell(config.doorbell)), ids_(config.entries, config.generation)
{
}

Posted EfaReceiveQueue::add(std::uint64_t id, const LocalBuffer& into) noexcept
{
    using namespace efa::receive;
    if (into.length > max_length)
        return Posted::bad_length;
    if (room_ == 0)
        return Posted::full;
    auto* entry = ring_ + std::size_t{producer_ & (entries_ - 1)} * 2;
    entry[0] = efa::little_endian(into.address);
    entry[1] = efa::little_endian(
        efa::pair(ids_.take(id, 1) | into.length << 16, (into.key & efa::key_mask) | first | last));
    --room_;
    ++producer_;
    return Posted::ok;
}

void EfaReceiveQueue::ring() noexcept
{
    if (rung_ == producer_)
        return;
    rung_ = producer_;
    internal::store_fence();
    *doorbell_ = efa::little_endian(std::uint32_t{producer_});
}

} // namespace p2prdma::direct
