// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/efa_send_queue.hpp"

#include "lib/direct/efa_layout.hpp"
#include "lib/direct/efa_ring.hpp"
#include "lib/fence.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace p2prdma::direct {
namespace {

using Word = std::uint64_t;

constexpr std::uint32_t word_size = sizeof(Word);

volatile Word* put(volatile Word* to, Word word) noexcept
{
    *to = efa::little_endian(word);
    return to + 1;
}

volatile Word* put_memory(volatile Word* to, std::uint32_t length, std::uint32_t key,
                          std::uint64_t address) noexcept
{
    return put(put(to, efa::pair(length, key)), address);
}

Word load(const std::byte* from) noexcept
{
    Word word = 0;
    std::memcpy(&word, from, word_size);
    return word;
}

/// The last word of data, of which `rest` bytes (1 to 7) are there, as it lies in memory.
Word load_rest(std::span<const std::byte> data, std::size_t rest) noexcept
{
    if (std::endian::native == std::endian::little && data.size() >= word_size)
        return load(data.data() + data.size() - word_size) >> (8 * (word_size - rest));
    Word word = 0;
    std::memcpy(&word, data.data() + data.size() - rest, rest);
    return word;
}

/// Inline data is bytes: it keeps its order in memory whatever the CPU's is.
[[gnu::always_inline]] inline volatile Word* put_inline(volatile Word* to,
                                                        std::span<const std::byte> data) noexcept
{
    const std::byte* from = data.data();
    for (std::size_t left = data.size() / word_size; left > 0; --left, from += word_size)
        *to++ = load(from);
    if (const std::size_t rest = data.size() % word_size)
        *to++ = load_rest(data, rest);
    return to;
}

std::uint16_t batch_limit(const EfaSendQueue::Config& config) noexcept
{
    const auto limit = config.max_batch ? config.max_batch : config.entries;
    return static_cast<std::uint16_t>(std::min(limit, config.entries));
}

} // namespace

EfaSendQueue::EfaSendQueue(const Config& config)
    : max_batch_(batch_limit(config)), room_(config.entries), entries_(config.entries),
      entry_words_(config.entry_size / word_size),
      ring_(efa::checked_ring(config.ring, config.entries, config.entry_size, {64, 128})),
      doorbell_(efa::checked_doorbell(config.doorbell)), ids_(config.entries, config.generation)
{
}

std::uint32_t EfaSendQueue::max_inline_write() const noexcept
{
    return entry_words_ > 8 ? efa::send::max_inline_128 : 0;
}

std::uint32_t EfaSendQueue::max_inline_send() const noexcept
{
    return entry_words_ > 8 ? efa::send::max_inline_128 : efa::send::max_inline_send_64;
}

// A call would cost as much as what it calls.

[[gnu::always_inline]] inline std::uint16_t EfaSendQueue::take_id(std::uint64_t id,
                                                                  Signal signal) noexcept
{
    if (signal == Signal::yes)
        return ids_.take(id, static_cast<std::uint16_t>(std::exchange(silent_, 0) + 1));
    ++silent_;
    return ids_.shared();
}

[[gnu::always_inline]] inline volatile Word*
EfaSendQueue::put_meta(std::uint32_t control, std::uint32_t length, std::uint64_t id,
                       const Peer& peer, Signal signal) noexcept
{
    using namespace efa::send;
    auto* next = ring_ + std::size_t{producer_ & (entries_ - 1)} * entry_words_;
    control |= meta_descriptor | first | last;
    if (producer_ & entries_)
        control |= phase;
    if (signal == Signal::yes)
        control |= signalled;
    next = put(next, efa::pair(take_id(id, signal) | control, peer.queue_pair | length << 16));
    next = put(next, efa::pair(0, peer.address_handle));
    next = put(next, peer.queue_key);
    return put(next, 0);
}

[[gnu::always_inline]] inline void EfaSendQueue::finish(volatile Word* next) noexcept
{
    auto* end = ring_ + (std::size_t{producer_ & (entries_ - 1)} + 1) * entry_words_;
    while (next != end)
        next = put(next, 0);
    --room_;
    ++producer_;
    if (static_cast<std::uint16_t>(producer_ - rung_) == max_batch_)
        ring();
}

[[gnu::always_inline]] inline Posted
EfaSendQueue::add_rdma(std::uint32_t operation, std::uint64_t id, const Peer& peer,
                       const LocalBuffer& local, const RemotePlace& remote, Signal signal) noexcept
{
    if (!has_room(signal))
        return Posted::full;
    auto* next = put_meta(operation, 1, id, peer, signal);
    next = put_memory(next, local.length, remote.key, remote.address);
    finish(put_memory(next, local.length, local.key & efa::key_mask, local.address));
    return Posted::ok;
}

Posted EfaSendQueue::add_write(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                               const RemotePlace& to, Signal signal) noexcept
{
    return add_rdma(efa::send::operation_write, id, peer, from, to, signal);
}

Posted EfaSendQueue::add_read(std::uint64_t id, const Peer& peer, const LocalBuffer& into,
                              const RemotePlace& from, Signal signal) noexcept
{
    return add_rdma(efa::send::operation_read, id, peer, into, from, signal);
}

Posted EfaSendQueue::add_send(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                              Signal signal) noexcept
{
    if (!has_room(signal))
        return Posted::full;
    auto* next = put_meta(efa::send::operation_send, 1, id, peer, signal);
    finish(put_memory(next, from.length, from.key & efa::key_mask, from.address));
    return Posted::ok;
}

Posted EfaSendQueue::add_write_inline(std::uint64_t id, const Peer& peer,
                                      std::span<const std::byte> from, const RemotePlace& to,
                                      Signal signal) noexcept
{
    if (from.size() > max_inline_write())
        return max_inline_write() ? Posted::bad_length : Posted::unsupported;
    if (!has_room(signal))
        return Posted::full;
    const auto length = static_cast<std::uint32_t>(from.size());
    auto* next =
        put_meta(efa::send::operation_write | efa::send::inline_data, length, id, peer, signal);
    finish(put_inline(put_memory(next, length, to.key, to.address), from));
    return Posted::ok;
}

Posted EfaSendQueue::add_send_inline(std::uint64_t id, const Peer& peer,
                                     std::span<const std::byte> from, Signal signal) noexcept
{
    if (from.size() > max_inline_send())
        return Posted::bad_length;
    if (!has_room(signal))
        return Posted::full;
    auto* next = put_meta(efa::send::operation_send | efa::send::inline_data,
                          static_cast<std::uint32_t>(from.size()), id, peer, signal);
    finish(put_inline(next, from));
    return Posted::ok;
}

void EfaSendQueue::ring() noexcept
{
    if (rung_ == producer_)
        return;
    rung_ = producer_;
    // The adapter must not see the doorbell before the entries, nor before the data they name.
    internal::store_fence();
    *doorbell_ = efa::little_endian(std::uint32_t{producer_});
}

} // namespace p2prdma::direct
