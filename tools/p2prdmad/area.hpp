// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma::daemon {

/// The control area's bytes, which the card may change at any time: each is loaded or stored once,
/// by aligned accesses. Does not own the memory. Offsets must be multiples of 4 within it.
class Area {
public:
    explicit Area(std::span<volatile std::byte> memory) noexcept : memory_(memory) {}

    std::uint32_t load32(std::size_t offset) const noexcept;
    void store32(std::size_t offset, std::uint32_t value) noexcept;
    /// Copies what lies at `offset`; the length is a multiple of 4.
    void read(std::size_t offset, std::span<std::byte> into) const noexcept;
    void write(std::size_t offset, std::span<const std::byte> from) noexcept;
    /// Stores before it are seen by the card before stores after it.
    static void release() noexcept;
    /// Loads after it are not older than loads before it.
    static void acquire() noexcept;
    /// Loads after it are not older than stores before it.
    static void full() noexcept;

private:
    volatile std::uint32_t* word(std::size_t offset) const noexcept;

    std::span<volatile std::byte> memory_;
};

} // namespace p2prdma::daemon
