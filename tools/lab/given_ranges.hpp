// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>
#include <map>

namespace lab {

/// Which bytes of a memory somebody was given. Ranges that end beyond 2^64 end there.
class GivenRanges {
public:
    /// [offset, offset + length) was given out. Before the first call all bytes count as given.
    void give(std::uint64_t offset, std::uint64_t length);
    void take_back(std::uint64_t offset, std::uint64_t length);
    /// True if all of [offset, offset + length) is given; of nothing, always.
    bool covers(std::uint64_t offset, std::uint64_t length) const;

private:
    static std::uint64_t end_of(std::uint64_t offset, std::uint64_t length);
    void remove(std::uint64_t offset, std::uint64_t end);

    bool told_ = false;
    std::map<std::uint64_t, std::uint64_t> ranges_; ///< first byte, first byte behind; disjoint
};

} // namespace lab
