// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/id_pool.hpp"
#include "tools/lab/efa/io_layout.hpp"
#include "tools/lab/fabric.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

namespace lab::efa {

/// The destinations that an adapter's protection domains know, by number. A domain has one handle
/// per destination.
class AddressHandleTable {
public:
    static constexpr std::uint32_t max_handles = 4096;

    /// Nothing if all numbers are taken. A destination that the domain knows gives its number.
    std::optional<std::uint16_t> create(std::uint16_t pd, const Gid& destination)
    {
        if (auto it = numbers_.find({pd, destination}); it != numbers_.end())
            return it->second;
        auto id = ids_.take();
        if (!id)
            return std::nullopt;
        auto number = static_cast<std::uint16_t>(*id);
        handles_.emplace(number, Handle{pd, destination});
        numbers_.emplace(Key{pd, destination}, number);
        return number;
    }

    /// False if the domain has no such handle.
    bool destroy(std::uint16_t number, std::uint16_t pd)
    {
        auto it = handles_.find(number);
        if (it == handles_.end() || it->second.pd != pd)
            return false;
        numbers_.erase({pd, it->second.destination});
        handles_.erase(it);
        ids_.give(number);
        return true;
    }

    std::optional<Gid> destination(std::uint16_t number, std::uint16_t pd) const
    {
        auto it = handles_.find(number);
        if (it == handles_.end() || it->second.pd != pd)
            return std::nullopt;
        return it->second.destination;
    }

    /// The domain's handle of that destination, or unknown_ah.
    std::uint16_t find(std::uint16_t pd, const Gid& destination) const
    {
        auto it = numbers_.find({pd, destination});
        return it == numbers_.end() ? unknown_ah : it->second;
    }

    void clear() { *this = {}; }

private:
    struct Handle {
        std::uint16_t pd;
        Gid destination;
    };
    using Key = std::pair<std::uint16_t, Gid>;

    IdPool ids_{max_handles};
    std::unordered_map<std::uint16_t, Handle> handles_;
    std::map<Key, std::uint16_t> numbers_;
};

} // namespace lab::efa
