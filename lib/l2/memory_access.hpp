// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/memory_table.hpp"
#include "lib/l2/outbox.hpp"
#include "lib/l2/pager.hpp"

#include <cstdint>
#include <span>

namespace p2prdma::l2 {

/// Pages that are not there.
struct Missing {
    std::uint64_t address = 0;
    std::size_t length = 0;
    Pager::Need need = Pager::Need::reading;
    std::size_t ahead = 0; ///< bytes behind these that will be needed next
};

/// Moves payload from and to registered memory. Keys, ranges and rights are checked each time, so
/// that nothing is touched of a range that was removed in the middle of a message. Memory of
/// implicit ranges is only touched where it is present. Thread-safety: the engine's.
class MemoryAccess {
public:
    enum class Result : std::uint8_t {
        done,
        missing, ///< `missing` says what; nothing counts as done
        denied,
    };

    MemoryAccess(const MemoryTable& table, Pager& pager) : table_(table), pager_(pager) {}

    /// `length` bytes from `offset` of these segments on as payload of the outbox's next frame.
    [[nodiscard]] Result gather(std::span<const Segment> segments, std::uint32_t offset,
                                std::uint32_t length, const AccessScope& scope, Outbox& outbox,
                                Payload& payload, Missing& missing) noexcept;
    /// Puts `data` there.
    [[nodiscard]] Result scatter(std::span<const Segment> segments, std::uint32_t offset,
                                 std::span<const std::byte> data, const AccessScope& scope,
                                 Missing& missing) noexcept;
    /// Adds, or compares and swaps; `old` is what was there. `address` is aligned by 8.
    struct AtomicUpdate {
        bool compares = false;
        std::uint64_t operand = 0, compare = 0;
    };
    [[nodiscard]] Result atomic(std::uint64_t address, std::uint32_t key,
                                const AtomicUpdate& update, const AccessScope& scope,
                                std::uint64_t& old, Missing& missing) noexcept;

private:
    struct Piece {
        std::uint64_t address = 0;
        std::size_t length = 0;
        bool implicit = false;
    };
    struct Pieces {
        std::array<Piece, max_segments> at = {};
        std::size_t count = 0;
        bool implicit = false;
    };
    [[nodiscard]] Result find(std::span<const Segment> segments, std::uint32_t offset,
                              std::size_t length, const AccessScope& scope, Pager::Need need,
                              Pieces& pieces, Missing& missing) noexcept;
    [[nodiscard]] bool present(const Piece& piece, Pager::Need need, Missing& missing) noexcept;
    [[nodiscard]] Result copy_out(const Pieces& pieces, std::span<std::byte> to,
                                  Missing& missing) noexcept;

    const MemoryTable& table_;
    Pager& pager_;
};

} // namespace p2prdma::l2
