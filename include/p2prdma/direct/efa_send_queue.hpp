// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/request.hpp"
#include "p2prdma/direct/request_ids.hpp"

#include <cstddef>
#include <span>

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
    [[nodiscard]] std::uint16_t take_id(std::uint64_t id, Signal signal) noexcept;
    [[nodiscard]] bool is_unsignalled(std::uint16_t device_id, std::uint64_t& id) const noexcept
    {
        id = unsignalled_id;
        return device_id == ids_.shared();
    }

    std::uint16_t producer_ = 0; // entries written, ever
    std::uint16_t rung_ = 0;     // of which the adapter was told
    std::uint16_t silent_ = 0;   // requests without Signal since the last with
    std::uint16_t max_batch_;
    std::uint32_t room_;
    std::uint32_t entries_;
    std::uint32_t entry_words_;
    volatile Word* ring_;
    volatile std::uint32_t* doorbell_;
    RequestIds ids_;
};

} // namespace p2prdma::direct
