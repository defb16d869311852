// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/efa_layout.hpp"
#include "p2prdma/direct/request.hpp"
#include "p2prdma/direct/request_ids.hpp"
#include "p2prdma/fence.hpp"

#include <bit>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

namespace p2prdma::direct {

/// An EFA adapter's send queue: writes work requests into queue memory and rings the doorbell.
/// Works on addresses only: on a card through windows, on a host through the driver's mappings.
///
/// add_...() writes a request, ring() makes the adapter execute what was added. Each entry is
/// written once, whole, by 8-byte stores in ascending order, so that a CPU combines them.
///
/// A request without Signal is not reported, and gives its entry back with the next reported one
/// that was added after it; therefore the last free entry takes a request with Signal only.
///
/// Thread-safety: one thread at a time, which includes poll() of the completion queue.
/// The memory must outlive the queue. Nothing here allocates or throws but the constructor.
class P2PRDMA_API EfaSendQueue final {
public:
    struct Config {
        std::span<volatile std::byte> ring; ///< entries * entry_size bytes; its start 8-aligned
        volatile std::uint32_t* doorbell = nullptr;
        std::uint32_t entries = 0;    ///< a power of two, 1 to 32768
        std::uint32_t entry_size = 0; ///< 64 or 128 bytes; 128 admit inline writes
        std::uint32_t max_batch = 0;  ///< entries per doorbell at most; 0: no limit
        std::uint16_t generation = 0; ///< of the queue pair's number; see RequestIds
    };

    /// For a queue that was just made: its first entry is the next.
    /// \throws Error bad_argument
    explicit EfaSendQueue(const Config& config);

    /// RDMA write of `from` to `to`.
    [[nodiscard]] Posted add_write(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                                   const RemotePlace& to, Signal signal = Signal::yes) noexcept;
    /// RDMA read of as many bytes from `from` as `into` has.
    [[nodiscard]] Posted add_read(std::uint64_t id, const Peer& peer, const LocalBuffer& into,
                                  const RemotePlace& from, Signal signal = Signal::yes) noexcept;
    /// A message, for which the peer needs a receive.
    [[nodiscard]] Posted add_send(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                                  Signal signal = Signal::yes) noexcept;
    /// RDMA write of at most max_inline_write() bytes, which are copied into the request: `from`
    /// may be reused at once and needs no region.
    [[nodiscard]] Posted add_write_inline(std::uint64_t id, const Peer& peer,
                                          std::span<const std::byte> from, const RemotePlace& to,
                                          Signal signal = Signal::yes) noexcept;
    /// A message of at most max_inline_send() bytes, copied into the request.
    [[nodiscard]] Posted add_send_inline(std::uint64_t id, const Peer& peer,
                                         std::span<const std::byte> from,
                                         Signal signal = Signal::yes) noexcept;
    /// Fence and doorbell for all that was added since the last; nothing if nothing was. The
    /// adapter may have been told of part of it before, if there is a max_batch.
    void ring() noexcept;

    /// Bytes; 0: not at all, an EFA adapter does that with 128-byte entries only.
    [[nodiscard]] std::uint32_t max_inline_write() const noexcept;
    [[nodiscard]] std::uint32_t max_inline_send() const noexcept;
    [[nodiscard]] std::uint32_t entries() const noexcept { return entries_; }
    /// Entries that are free.
    [[nodiscard]] std::uint32_t room() const noexcept { return room_; }

    /// For the completion queue: ends the request that a completion names. False if there is none.
    [[nodiscard]] bool complete(std::uint16_t device_id, std::uint64_t& id) noexcept
    {
        const auto request = ids_.give_back(device_id);
        id = request.id;
        room_ += request.slots;
        return request.slots != 0 || is_unsignalled(device_id, id);
    }

private:
    using Word = std::uint64_t;

    [[nodiscard]] bool has_room(Signal signal) const noexcept
    {
        return room_ > (signal == Signal::yes ? 0u : 1u);
    }
    [[nodiscard]] Posted add_rdma(std::uint32_t operation, std::uint64_t id, const Peer& peer,
                                  const LocalBuffer& local, const RemotePlace& remote,
                                  Signal signal) noexcept;
    /// Writes the meta data of the next entry; returns where its next word goes.
    volatile Word* put_meta(std::uint32_t control, std::uint32_t length, std::uint64_t id,
                            const Peer& peer, Signal signal) noexcept;
    /// Fills the entry up from `next` on, and takes it as added.
    void finish(volatile Word* next) noexcept;
    [[nodiscard]] std::uint32_t take_id(std::uint64_t id, Signal signal) noexcept;
    [[nodiscard]] bool is_unsignalled(std::uint16_t device_id, std::uint64_t& id) const noexcept
    {
        id = unsignalled_id;
        return device_id == ids_.shared();
    }

    volatile Word* entry_;      // the next
    volatile Word* ring_;       // the first
    volatile Word* end_;        // after the last
    std::uint32_t control_;     // what all requests of this pass have
    std::uint32_t room_;        // entries that are free
    std::uint32_t batch_;       // entries that may be added before the doorbell must be rung
    std::uint32_t entry_words_; // 8 or 16
    std::uint32_t max_batch_;   // batch_ after the doorbell
    std::uint32_t entries_;
    volatile std::uint32_t* doorbell_;
    RequestIds ids_;
    std::uint16_t producer_ = 0; // entries written, ever
    std::uint16_t silent_ = 0;   // requests without Signal since the last with
};

namespace efa {

using Word = std::uint64_t;
inline constexpr std::uint32_t word_size = sizeof(Word);

inline volatile Word* put(volatile Word* to, Word word) noexcept
{
    *to = little_endian(word);
    return to + 1;
}

inline volatile Word* put_memory(volatile Word* to, std::uint32_t length, std::uint32_t key,
                                 std::uint64_t address) noexcept
{
    return put(put(to, pair(length, key)), address);
}

inline Word load(const std::byte* from) noexcept
{
    Word word = 0;
    std::memcpy(&word, from, word_size);
    return word;
}

/// The last word of data, of which `rest` bytes (1 to 7) are there, as it lies in memory.
inline Word load_rest(std::span<const std::byte> data, std::size_t rest) noexcept
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

} // namespace efa

// All in the header, and in one piece: a call would cost as much as what it calls.

inline std::uint32_t EfaSendQueue::max_inline_write() const noexcept
{
    return entry_words_ > 8 ? efa::send::max_inline_128 : 0;
}

inline std::uint32_t EfaSendQueue::max_inline_send() const noexcept
{
    return entry_words_ > 8 ? efa::send::max_inline_128 : efa::send::max_inline_send_64;
}

[[gnu::always_inline]] inline std::uint32_t EfaSendQueue::take_id(std::uint64_t id,
                                                                  Signal signal) noexcept
{
    if (signal == Signal::yes)
        return ids_.take(id, static_cast<std::uint16_t>(std::exchange(silent_, 0) + 1)) |
               efa::send::signalled;
    ++silent_;
    return ids_.shared();
}

[[gnu::always_inline]] inline volatile std::uint64_t*
EfaSendQueue::put_meta(std::uint32_t control, std::uint32_t length, std::uint64_t id,
                       const Peer& peer, Signal signal) noexcept
{
    auto* next = efa::put(entry_, efa::pair(take_id(id, signal) | control_ | control,
                                            peer.queue_pair | length << 16));
    next = efa::put(next, efa::pair(0, peer.address_handle));
    next = efa::put(next, peer.queue_key);
    return efa::put(next, 0);
}

[[gnu::always_inline]] inline void EfaSendQueue::finish(volatile Word* next) noexcept
{
    volatile Word* const end = entry_ + entry_words_;
    while (next != end)
        next = efa::put(next, 0);
    entry_ = end;
    if (end == end_) {
        entry_ = ring_;
        control_ ^= efa::send::phase;
    }
    --room_;
    ++producer_;
    if (--batch_ == 0)
        ring();
}

[[gnu::always_inline]] inline Posted
EfaSendQueue::add_rdma(std::uint32_t operation, std::uint64_t id, const Peer& peer,
                       const LocalBuffer& local, const RemotePlace& remote, Signal signal) noexcept
{
    if (!has_room(signal))
        return Posted::full;
    auto* next = put_meta(operation, 1, id, peer, signal);
    next = efa::put_memory(next, local.length, remote.key, remote.address);
    finish(efa::put_memory(next, local.length, local.key & efa::key_mask, local.address));
    return Posted::ok;
}

inline Posted EfaSendQueue::add_write(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                                      const RemotePlace& to, Signal signal) noexcept
{
    return add_rdma(efa::send::operation_write, id, peer, from, to, signal);
}

inline Posted EfaSendQueue::add_read(std::uint64_t id, const Peer& peer, const LocalBuffer& into,
                                     const RemotePlace& from, Signal signal) noexcept
{
    return add_rdma(efa::send::operation_read, id, peer, into, from, signal);
}

inline Posted EfaSendQueue::add_send(std::uint64_t id, const Peer& peer, const LocalBuffer& from,
                                     Signal signal) noexcept
{
    if (!has_room(signal))
        return Posted::full;
    auto* next = put_meta(efa::send::operation_send, 1, id, peer, signal);
    finish(efa::put_memory(next, from.length, from.key & efa::key_mask, from.address));
    return Posted::ok;
}

inline Posted EfaSendQueue::add_write_inline(std::uint64_t id, const Peer& peer,
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
    finish(efa::put_inline(efa::put_memory(next, length, to.key, to.address), from));
    return Posted::ok;
}

inline Posted EfaSendQueue::add_send_inline(std::uint64_t id, const Peer& peer,
                                            std::span<const std::byte> from, Signal signal) noexcept
{
    if (from.size() > max_inline_send())
        return Posted::bad_length;
    if (!has_room(signal))
        return Posted::full;
    auto* next = put_meta(efa::send::operation_send | efa::send::inline_data,
                          static_cast<std::uint32_t>(from.size()), id, peer, signal);
    finish(efa::put_inline(next, from));
    return Posted::ok;
}

inline void EfaSendQueue::ring() noexcept
{
    if (batch_ == max_batch_)
        return;
    batch_ = max_batch_;
    // The adapter must not see the doorbell before the entries, nor before the data they name.
    internal::store_fence();
    *doorbell_ = efa::little_endian(std::uint32_t{producer_});
}

} // namespace p2prdma::direct
