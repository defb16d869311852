// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/session.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace p2prdma::direct {

class Target;

/// How the card's CPU maps its memory.
enum class Caching : std::uint8_t {
    write_combining, ///< fast stores; loads are not cached
    uncached,        ///< every access in order
};

/// Memory of the card that it shares with the host, zeroed, and mapped here: the only memory that
/// adapters reach. Move-only.
///
/// Thread-safety: as for plain memory.
class P2PRDMA_API Memory final {
public:
    /// \param length  bytes, > 0; rounded up to pages
    /// \throws Error card_full and as Link
    Memory(const Session& session, std::uint64_t length,
           Caching caching = Caching::write_combining);

    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    /// The memory itself; use aligned accesses, not memcpy(). Stores to it are with the adapter
    /// once a request is posted after them.
    [[nodiscard]] std::span<volatile std::byte> span() const noexcept { return bytes_; }
    /// Copies by whole words where it can. Returns the bytes copied: fewer than asked only where
    /// the range reaches beyond the end.
    std::size_t write(std::size_t offset, std::span<const std::byte> from) noexcept;
    std::size_t read(std::size_t offset, std::span<std::byte> into) const noexcept;

    /// For the objects of this library.
    [[nodiscard]] const std::shared_ptr<const Target>& target() const noexcept { return target_; }

private:
    std::shared_ptr<const Target> target_;
    std::span<volatile std::byte> bytes_;
};

} // namespace p2prdma::direct
