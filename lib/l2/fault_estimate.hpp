// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace p2prdma::l2 {

/// How long bringing a page will take, from what it took lately nearby: within 2 MiB, memory is
/// mostly of one kind (anonymous, of a file, swapped, a userfaultfd's); where nothing is known,
/// from what it took anywhere. Mean and deviation are kept as TCP does of round trips (RFC 6298).
///
/// Thread-safety: none.
class FaultEstimate {
public:
    void observed(const void* address, Time duration) noexcept;
    /// Seldom exceeded; 1 us to 1000 s.
    [[nodiscard]] std::uint32_t microseconds(const void* address) const noexcept;

private:
    struct Average {
        std::uintptr_t area = UINTPTR_MAX;
        Time mean{0};
        Time deviation{0};
        bool known = false;
        void add(Time duration) noexcept;
    };
    static constexpr unsigned area_shift = 21;

    [[nodiscard]] static std::size_t place(std::uintptr_t area) noexcept
    {
        return (area * 0x9e3779b97f4a7c15) >> 58; // as many as areas_ has
    }

    Average overall_;
    std::array<Average, 64> areas_ = {};
};

} // namespace p2prdma::l2
