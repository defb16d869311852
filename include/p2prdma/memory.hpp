// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/mapping.hpp"
#include "p2prdma/unique_fd.hpp"

#include <cstdint>
#include <optional>

namespace p2prdma {

/// How the CPU maps card memory; fixed per allocation.
enum class Cache {
    write_combining, ///< fast stores, weakly ordered
    uncached,        ///< each access goes to the card, in order
};

/// Which importers (drivers that let a device access the memory) an allocation admits.
enum class Policy {
    pinnable,  ///< any; unbinding the card waits for one that pins
    revocable, ///< only those that can be told to let go at once
};

/// A range of a card's memory: the owner of a dma-buf descriptor. Move-only.
///
/// The memory is freed when the last reference goes: descriptors, mappings, and the regions that
/// adapters registered. So a Memory may go, or its descriptor be passed to another process, while
/// a Mapping or a MemoryRegion of it lives on.
///
/// Thread-safety: const methods may be called by several threads at once.
class P2PRDMA_API Memory final {
public:
    /// Takes over a dma-buf from elsewhere, such as one that another process passed on, if it is
    /// card memory. Which card it lies in, and how it is cached, stays unknown (write_combining).
    /// \throws Error bad_argument: it is no dma-buf, or one of another exporter, which is named
    [[nodiscard]] static Memory adopt(UniqueFd dmabuf);

    /// Takes over a dma-buf that is known to be card memory; its length is asked from the kernel.
    /// `card` is the number of the card it lies in, if the caller knows.
    /// \throws Error bad_argument if the descriptor has no length
    explicit Memory(UniqueFd dmabuf, Cache cache = Cache::write_combining,
                    std::optional<unsigned> card = std::nullopt,
                    std::optional<std::uint64_t> card_offset = std::nullopt);

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// Bytes: what was asked for, rounded up to the card's granule.
    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
    [[nodiscard]] Cache cache() const noexcept { return cache_; }
    /// The number of the card that the memory lies in, if known.
    [[nodiscard]] std::optional<unsigned> card() const noexcept { return card_; }

    /// Where in the card's memory it lies, bytes, if known: how the card's own machine finds it.
    [[nodiscard]] std::optional<std::uint64_t> card_offset() const noexcept { return card_offset_; }

    /// Maps all of it for the CPU.
    /// \throws Error card_gone, or the errno of mmap
    [[nodiscard]] Mapping map() const;
    /// A second owner of the same memory (not a copy of it).
    [[nodiscard]] Memory share() const;
    /// Gives the descriptor away; what remains has length 0.
    [[nodiscard]] UniqueFd release() noexcept;

private:
    Memory(UniqueFd dmabuf, const Memory& other) noexcept;

    UniqueFd fd_;
    std::uint64_t length_ = 0;
    Cache cache_ = Cache::write_combining;
    std::optional<unsigned> card_;
    std::optional<std::uint64_t> card_offset_;
};

} // namespace p2prdma
