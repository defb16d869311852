// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/memory_access.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace p2prdma::l2 {
namespace {

/// Bytes of a message whose pages are brought with those of the frame that needs one.
constexpr std::uint64_t max_ahead = 1 << 20;

std::byte* pointer(std::uint64_t address) noexcept
{
    return reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(address)); // NOLINT
}

std::uint64_t address_of(const Segment& segment) noexcept
{
    return reinterpret_cast<std::uintptr_t>(segment.address);
}

std::uint64_t update_in_place(std::uint64_t address,
                              const MemoryAccess::AtomicUpdate& update) noexcept
{
    const std::atomic_ref word(*reinterpret_cast<std::uint64_t*>(pointer(address))); // NOLINT
    if (!update.compares)
        return word.fetch_add(update.operand);
    auto expected = update.compare;
    word.compare_exchange_strong(expected, update.operand);
    return expected;
}

} // namespace

bool MemoryAccess::present(const Piece& piece, Pager::Need need, Missing& missing) noexcept
{
    const auto there = pager_.present(pointer(piece.address), piece.length, need);
    if (there >= piece.length)
        return true;
    missing = {piece.address + there, piece.length - there, need};
    return false;
}

MemoryAccess::Result MemoryAccess::find(std::span<const Segment> segments, std::uint32_t offset,
                                        std::size_t length, const AccessScope& scope,
                                        Pager::Need need, Pieces& pieces, Missing& missing) noexcept
{
    for (const auto& segment : segments) {
        if (length == 0)
            break;
        if (offset >= segment.length) {
            offset -= segment.length;
            continue;
        }
        const auto here = std::min<std::size_t>(length, segment.length - offset);
        std::uint64_t address = 0;
        if (__builtin_add_overflow(address_of(segment), std::uint64_t{offset}, &address))
            return Result::denied;
        const auto* const range = table_.check(segment.key, address, here, scope);
        if (range == nullptr)
            return Result::denied;
        const Piece piece{address, here, range->implicit};
        if (piece.implicit && !present(piece, need, missing)) {
            missing.ahead =
                std::min<std::uint64_t>({segment.length - offset - here,
                                         range->start + range->length - address - here, max_ahead});
            return Result::missing;
        }
        pieces.implicit = pieces.implicit || piece.implicit;
        pieces.at[pieces.count++] = piece;
        length -= here;
        offset = 0;
    }
    return length == 0 ? Result::done : Result::denied;
}

MemoryAccess::Result MemoryAccess::copy_out(const Pieces& pieces, std::span<std::byte> to,
                                            Missing& missing) noexcept
{
    for (const auto& piece : std::span(pieces.at).first(pieces.count)) {
        const auto part = to.first(piece.length);
        to = to.subspan(piece.length);
        std::size_t copied = piece.length;
        if (piece.implicit)
            copied = pager_.copy_out(part, pointer(piece.address));
        else
            std::memcpy(part.data(), pointer(piece.address), part.size());
        if (copied != piece.length) {
            missing = {piece.address + copied, piece.length - copied, Pager::Need::reading};
            return Result::missing;
        }
    }
    return Result::done;
}

MemoryAccess::Result MemoryAccess::gather(std::span<const Segment> segments, std::uint32_t offset,
                                          std::uint32_t length, const AccessScope& scope,
                                          Outbox& outbox, Payload& payload,
                                          Missing& missing) noexcept
{
    Pieces pieces;
    const auto found = find(segments, offset, length, scope, Pager::Need::reading, pieces, missing);
    if (found != Result::done)
        return found;
    if (!pieces.implicit) {
        for (const auto& piece : std::span(pieces.at).first(pieces.count))
            payload.add({pointer(piece.address), piece.length});
        return Result::done;
    }
    const auto room = outbox.staging(length);
    if (room.size() < length)
        return Result::denied;
    payload.add(room);
    return copy_out(pieces, room, missing);
}

MemoryAccess::Result MemoryAccess::scatter(std::span<const Segment> segments, std::uint32_t offset,
                                           std::span<const std::byte> data,
                                           const AccessScope& scope, Missing& missing) noexcept
{
    Pieces pieces;
    const auto found =
        find(segments, offset, data.size(), scope, Pager::Need::writing, pieces, missing);
    if (found != Result::done)
        return found;
    for (const auto& piece : std::span(pieces.at).first(pieces.count)) {
        const auto part = data.first(piece.length);
        data = data.subspan(piece.length);
        std::size_t copied = piece.length;
        if (piece.implicit)
            copied = pager_.copy_in(pointer(piece.address), part);
        else
            std::memcpy(pointer(piece.address), part.data(), part.size());
        if (copied != piece.length) {
            missing = {piece.address + copied, piece.length - copied, Pager::Need::writing};
            return Result::missing;
        }
    }
    return Result::done;
}

MemoryAccess::Result MemoryAccess::atomic(std::uint64_t address, std::uint32_t key,
                                          const AtomicUpdate& update, const AccessScope& scope,
                                          std::uint64_t& old, Missing& missing) noexcept
{
    const auto* const range = table_.check(key, address, sizeof old, scope);
    if (range == nullptr)
        return Result::denied;
    if (!range->implicit) {
        old = update_in_place(address, update);
        return Result::done;
    }
    const Piece piece{address, sizeof old, true};
    missing = {address, sizeof old, Pager::Need::writing};
    if (!present(piece, Pager::Need::writing, missing))
        return Result::missing;
    // Not atomic against the application's own threads: the page may go at any time, and then a
    // processor's instruction would raise a signal.
    if (pager_.copy_out(std::as_writable_bytes(std::span(&old, 1)), pointer(address)) != sizeof old)
        return Result::missing;
    const auto changed = !update.compares        ? old + update.operand
                         : old == update.compare ? update.operand
                                                 : old;
    if (pager_.copy_in(pointer(address), std::as_bytes(std::span(&changed, 1))) != sizeof old)
        return Result::missing;
    return Result::done;
}

} // namespace p2prdma::l2
