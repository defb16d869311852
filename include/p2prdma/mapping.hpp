// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <cstddef>
#include <span>

namespace p2prdma {

/// Card memory in this process's address space. Move-only; unmaps when it goes.
///
/// This is a device's memory, not RAM: read() and write() touch it with aligned 8-byte accesses
/// (single bytes only at unaligned ends), never twice and never speculatively. Reads cross the bus
/// and are slow. Stores to write-combined memory may wait in the CPU until fence().
///
/// The mapping keeps the memory allocated, also after its Memory has gone. After the card was
/// removed or unbound, any access raises SIGBUS.
///
/// Thread-safety: as for plain memory: threads may use disjoint ranges at the same time.
class P2PRDMA_API Mapping final {
public:
    /// Maps the first `length` bytes (> 0) behind a dma-buf; the descriptor may be closed after.
    /// \throws Error card_gone, or the errno of mmap
    Mapping(int dmabuf_fd, std::size_t length);
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    [[nodiscard]] std::size_t size() const noexcept { return memory_.size(); }
    /// The memory itself, for code that follows the rules above by its own means.
    [[nodiscard]] std::span<volatile std::byte> span() const noexcept { return memory_; }

    /// Stores `from` at `offset`. Returns the bytes stored: fewer than asked only where the range
    /// reaches beyond the mapping's end.
    std::size_t write(std::size_t offset, std::span<const std::byte> from) noexcept;
    /// Loads from `offset` into `into`; returns the bytes loaded, like write().
    std::size_t read(std::size_t offset, std::span<std::byte> into) const noexcept;

    /// Stores before it leave the CPU before stores after it, also write-combined ones.
    void fence() const noexcept;
    /// Returns when all stores before it have arrived in the card: fence() and a read, which no
    /// posted write is overtaken by. Needed before a device is told to fetch what was written.
    void flush() const noexcept;

private:
    void unmap() noexcept;

    std::span<volatile std::byte> memory_;
};

} // namespace p2prdma
