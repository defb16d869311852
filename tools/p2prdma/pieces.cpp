// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/pieces.hpp"

#include <algorithm>

namespace p2prdma::tool {
namespace {

/// The number of pieces; never overflows.
std::uint64_t count_pieces(std::uint64_t bytes, std::uint64_t piece) noexcept
{
    return bytes / piece + (bytes % piece ? 1 : 0);
}

std::uint64_t round_down(std::uint64_t bytes, std::uint64_t granule) noexcept
{
    return bytes - bytes % granule;
}

} // namespace

std::uint64_t Pieces::length(std::uint64_t piece) const noexcept
{
    return std::min(piece_bytes, file_bytes - offset(piece));
}

bool Pieces::fits(std::uint64_t bytes) const noexcept
{
    if (file_bytes != bytes)
        return false;
    if (bytes == 0)
        return piece_bytes == 0 && count == 0 && regions == 0;
    return piece_bytes > 0 && piece_bytes <= bytes && count == count_pieces(bytes, piece_bytes) &&
           regions >= 1 && regions <= 2 && regions <= count;
}

Pieces cut(std::uint64_t file_bytes, std::uint64_t wanted, const Room& room) noexcept
{
    if (file_bytes == 0)
        return {};
    if (room.is_the_file)
        return {file_bytes, file_bytes, 1, 1};
    const std::uint64_t granule = std::max<std::uint64_t>(room.granule, 1);
    const std::uint64_t whole = wanted ? wanted : whole_file_bytes;
    if (file_bytes <= whole && file_bytes <= round_down(room.largest, granule))
        return {file_bytes, file_bytes, 1, 1};
    std::uint64_t piece = std::min(
        {wanted ? wanted : default_piece_bytes, file_bytes, round_down(room.largest / 2, granule)});
    const bool two = piece > 0;
    if (!two)
        piece = std::min(granule, file_bytes);
    const std::uint64_t count = count_pieces(file_bytes, piece);
    return {file_bytes, piece, count, two && count > 1 ? 2u : 1u};
}

} // namespace p2prdma::tool
