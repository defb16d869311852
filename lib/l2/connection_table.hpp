// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/connection.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

namespace p2prdma::l2 {

/// The connections of a device by their number: an index, and above it a part that differs from
/// the one before, so that a number comes back late. Thread-safety: the engine's.
class ConnectionTable {
public:
    explicit ConnectionTable(unsigned limit);

    /// A number that is free; nothing: the table is full. \param random  any number
    [[nodiscard]] std::optional<std::uint32_t> reserve(std::uint32_t random);
    /// Takes one up whose number was reserved just before.
    Connection& put(std::unique_ptr<Connection> connection);
    void remove(std::uint32_t number) noexcept;

    [[nodiscard]] Connection* find(std::uint32_t number) const noexcept
    {
        const auto index = number & mask_;
        if (index >= slots_.size())
            return nullptr;
        auto* const connection = slots_[index].get();
        return connection != nullptr && connection->number() == number ? connection : nullptr;
    }
    /// Where one of this number would be, unchecked; nullptr: nowhere.
    [[nodiscard]] const Connection* peek(std::uint32_t number) const noexcept
    {
        const auto index = number & mask_;
        return index < slots_.size() ? slots_[index].get() : nullptr;
    }
    /// By the peer's address and its number for it. There may be several, as anybody can say so in
    /// a connect_request: the first that `is_it(connection)`.
    void note_peer(Connection& connection);
    template <class Predicate>
    [[nodiscard]] Connection* find(const MacAddress& peer, std::uint32_t its_number,
                                   Predicate&& is_it) const
    {
        for (auto at = by_peer_.lower_bound({peer, its_number, 0}); at != by_peer_.end(); ++at) {
            const auto& [address, theirs, number] = *at;
            if (!(address == peer) || theirs != its_number)
                break;
            if (auto* const connection = find(number); connection != nullptr && is_it(*connection))
                return connection;
        }
        return nullptr;
    }

    [[nodiscard]] std::size_t size() const noexcept { return slots_.size() - free_.size(); }
    template <class Visitor>
    void for_each(Visitor&& visit) const
    {
        for (const auto& slot : slots_)
            if (slot)
                visit(*slot);
    }

private:
    std::size_t limit_;
    std::uint32_t mask_;
    std::vector<std::unique_ptr<Connection>> slots_;
    std::vector<std::uint32_t> free_; ///< indices
    /// The peer's address and number, and the number here.
    std::set<std::tuple<MacAddress, std::uint32_t, std::uint32_t>> by_peer_;
};

} // namespace p2prdma::l2
