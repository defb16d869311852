// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <cstdint>
#include <optional>

namespace lab {

/// The reference card's windows: where each slot of the aperture leads, set by the host alone, and
/// what became of the accesses. Documentation/refcard.rst specifies the registers.
class RefCardWindows {
public:
    static constexpr unsigned count = 32;
    static constexpr unsigned slot_shift = 16;
    static constexpr std::uint64_t slot_size = std::uint64_t{1} << slot_shift;

    enum Error : std::uint32_t {
        outside = 1 << 0,   ///< an access beyond the window's length
        closed = 1 << 1,    ///< an access while it was not enabled
        refused = 1 << 2,   ///< the target, or the way to it, refused an access
        bad_setup = 1 << 3, ///< the host's: changed while enabled, or enabled with a bad range
        barred = 1 << 4,    ///< a load or a store where only the other is let through
    };

    enum class Access : std::uint8_t { load, store };
    /// An access that a window let through: at its how manieth opening.
    struct Pass {
        unsigned window;
        std::uint64_t opening;
    };

    /// A register of the host face; `offset` counts from that of window 0.
    std::uint32_t read(std::uint64_t offset) const;
    /// False if that opens a window through which accesses are still under way.
    bool write(std::uint64_t offset, std::uint32_t value);
    /// The host has read 0 from the register at `offset`, or from WIN_OUTSTANDING: what it then
    /// takes for closed must be.
    void told_idle(std::uint64_t offset);
    void all_told_idle();
    /// A register of the card's face: no target, and sticky errors of its own.
    std::uint32_t card_read(std::uint64_t offset) const;
    void card_write(std::uint64_t offset, std::uint32_t value);
    static std::uint32_t capabilities() { return count | slot_shift << 16; }
    std::uint32_t outstanding() const; ///< of all
    std::uint32_t error_map() const;   ///< bit n: window n has an error that the host did not clear

    /// Where a load or store of `length` bytes at `at` in the slot of `window` leads; nothing, with
    /// the error noted, if nowhere.
    std::optional<std::uint64_t> translate(unsigned window, Access access, std::uint64_t at,
                                           std::uint64_t length);
    Pass begin(unsigned window);
    /// False if it was carried out although the host knew the window to be closed and idle.
    bool end(const Pass& pass, bool good);
    void fail(unsigned window, Error error);

    /// The host face was reset: all is closed. What is under way stays so.
    void reset();
    nlohmann::json describe() const; ///< those in use

private:
    struct Window {
        std::uint64_t target = 0;
        std::uint64_t length = 0;
        std::uint32_t control = 0;     ///< the register
        std::uint32_t errors = 0;      ///< as the host sees them
        std::uint32_t card_errors = 0; ///< as the card sees them
        std::uint32_t outstanding = 0;
        std::uint32_t dropped = 0;
        std::uint64_t openings = 0;
        std::uint64_t closed = 0; ///< openings up to this one are over, as the host knows

        bool enabled() const;
    };

    static bool control(Window& window, std::uint32_t value);

    std::array<Window, count> windows_{};
};

} // namespace lab
