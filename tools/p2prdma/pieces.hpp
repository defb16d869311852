// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>

namespace p2prdma::tool {

/// How a file is cut to fit the receiver's memory.
struct Pieces {
    std::uint64_t file_bytes = 0;
    std::uint64_t piece_bytes = 0; ///< of each but the last; 0 only for an empty file
    std::uint64_t count = 0;
    unsigned regions = 0; ///< memory regions of piece_bytes each, used in turn: 0, 1 or 2

    std::uint64_t offset(std::uint64_t piece) const noexcept { return piece * piece_bytes; }
    std::uint64_t length(std::uint64_t piece) const noexcept;
    unsigned region(std::uint64_t piece) const noexcept
    {
        return static_cast<unsigned>(piece % regions);
    }
    /// Whether this is a cut of a file of `bytes`: what a peer says may be anything.
    bool fits(std::uint64_t bytes) const noexcept;
};

/// What memory the receiver has for it.
struct Room {
    std::uint64_t largest = 0;    ///< the largest single allocation, bytes
    std::uint64_t granule = 4096; ///< allocations are rounded up to multiples of it
    bool is_the_file = false;     ///< it holds the whole file in any case: nothing is to be cut
};

/// A file of at most this many bytes goes into one region if there is room.
inline constexpr std::uint64_t whole_file_bytes = 1ull << 30;
/// The size of pieces, for larger files, if nobody asks for another.
inline constexpr std::uint64_t default_piece_bytes = 64ull << 20;

/// Cuts a file: into `wanted` bytes a piece (0: as seems best), two regions if there are several
/// pieces, so that one is filled while the other is read. A card too small for two pieces as
/// wanted gets smaller ones. If there is no room at all, the result asks for one granule, so that
/// the allocation fails and tells why.
Pieces cut(std::uint64_t file_bytes, std::uint64_t wanted, const Room& room) noexcept;

} // namespace p2prdma::tool
