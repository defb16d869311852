// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>

namespace lab {

/// The pending and mask registers of 32 bells: what is rung stays pending until it is cleared, and
/// interrupts unless it is masked.
class DoorbellInterrupt {
public:
    std::uint32_t pending() const { return pending_; }
    std::uint32_t mask() const { return mask_; }
    /// Each returns the bells that interrupt now.
    std::uint32_t ring(std::uint32_t bells)
    {
        pending_ |= bells;
        return bells & ~mask_;
    }
    std::uint32_t set_mask(std::uint32_t mask)
    {
        std::uint32_t unmasked = mask_ & ~mask & pending_;
        mask_ = mask;
        return unmasked;
    }
    void clear(std::uint32_t bells) { pending_ &= ~bells; }

private:
    std::uint32_t pending_ = 0;
    std::uint32_t mask_ = ~0U;
};

} // namespace lab
