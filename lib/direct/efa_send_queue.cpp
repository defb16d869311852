// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/efa_send_queue.hpp"

#include "lib/direct/efa_ring.hpp"

#include <algorithm>

namespace p2prdma::direct {
namespace {

constexpr std::uint32_t word_size = 8;

std::uint32_t batch_limit(const EfaSendQueue::Config& config) noexcept
{
    const auto limit = config.max_batch ? config.max_batch : config.entries;
    return std::min(limit, config.entries);
}

} // namespace

EfaSendQueue::EfaSendQueue(const Config& config)
    : entry_(efa::checked_ring(config.ring, config.entries, config.entry_size, {64, 128})),
      ring_(entry_), end_(entry_ + std::size_t{config.entries} * config.entry_size / word_size),
      control_(efa::send::meta_descriptor | efa::send::first | efa::send::last),
      room_(config.entries), batch_(batch_limit(config)),
      entry_words_(config.entry_size / word_size), max_batch_(batch_), entries_(config.entries),
      doorbell_(efa::checked_doorbell(config.doorbell)), ids_(config.entries, config.generation)
{
}

} // namespace p2prdma::direct
