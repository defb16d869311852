// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/context.hpp"
#include "tools/lab/efa/id_pool.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>

namespace lab::efa {

/// The doorbell BAR: a page (UAR) per user, and in each page doorbells at multiples of 8 bytes.
class Doorbells {
public:
    static constexpr std::uint32_t page_size = 4096;
    static constexpr std::uint32_t doorbell_size = 8;
    using Ring = std::function<void(std::uint32_t value)>;

    std::optional<std::uint16_t> allocate_page()
    {
        auto id = pages_free_.take();
        if (!id)
            return std::nullopt;
        auto page = static_cast<std::uint16_t>(*id);
        pages_.try_emplace(page);
        return page;
    }
    bool has_page(std::uint16_t page) const { return pages_.contains(page); }
    bool page_in_use(std::uint16_t page) const { return pages_.at(page).users != 0; }
    void free_page(std::uint16_t page)
    {
        pages_.erase(page);
        pages_free_.give(page);
    }

    /// The offset in the BAR of a new doorbell, or nothing if the page is full.
    std::optional<std::uint32_t> add(std::uint16_t page, Ring ring)
    {
        Page& in = pages_.at(page);
        auto slot = in.slots.take();
        if (!slot)
            return std::nullopt;
        ++in.users;
        std::uint32_t offset = page * page_size + *slot * doorbell_size;
        doorbells_.emplace(offset, std::move(ring));
        return offset;
    }
    void remove(std::uint32_t offset)
    {
        doorbells_.erase(offset);
        Page& in = pages_.at(static_cast<std::uint16_t>(offset / page_size));
        in.slots.give(offset % page_size / doorbell_size);
        --in.users;
    }
    /// False if there is no doorbell at that offset.
    bool ring(std::uint32_t offset, std::uint32_t value) const
    {
        auto it = doorbells_.find(offset);
        if (it == doorbells_.end())
            return false;
        it->second(value);
        return true;
    }

private:
    struct Page {
        IdPool slots{page_size / doorbell_size};
        unsigned users = 0;
    };

    IdPool pages_free_{Limits::max_uar};
    std::map<std::uint16_t, Page> pages_;
    std::unordered_map<std::uint32_t, Ring> doorbells_; ///< by offset in the BAR
};

} // namespace lab::efa
