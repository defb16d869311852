// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>

namespace lab::efa {

/// Gives out runs of pages of a BAR, so that no two users share a page.
class PageAllocator {
public:
    static constexpr std::uint32_t page_size = 4096;

    explicit PageAllocator(std::uint32_t pages) : pages_(pages) {}

    /// The first page of a free run of `count` pages, or nothing.
    std::optional<std::uint32_t> take(std::uint32_t count)
    {
        std::uint32_t candidate = 0;
        for (const auto& [first, used] : used_) {
            if (first - candidate >= count)
                break;
            candidate = first + used;
        }
        if (count == 0 || pages_ - candidate < count)
            return std::nullopt;
        used_.emplace(candidate, count);
        return candidate;
    }
    /// Takes back the run that starts with `first`.
    void give(std::uint32_t first) { used_.erase(first); }

private:
    std::uint32_t pages_;
    std::map<std::uint32_t, std::uint32_t> used_; ///< first page, count
};

} // namespace lab::efa
