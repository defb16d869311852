// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/connection_table.hpp"

#include <algorithm>
#include <bit>

namespace p2prdma::l2 {

constexpr std::uint32_t number_mask = 0xffffff;

ConnectionTable::ConnectionTable(unsigned limit)
    : limit_(std::clamp<std::size_t>(limit, 1, number_mask / 2)),
      mask_(static_cast<std::uint32_t>(std::bit_ceil(limit_) - 1))
{
}

std::optional<std::uint32_t> ConnectionTable::reserve(std::uint32_t random)
{
    if (free_.empty()) {
        if (slots_.size() == limit_)
            return std::nullopt;
        free_.reserve(slots_.size() + 1); // remove() need not allocate
        free_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const auto number = ((random & ~mask_) | free_.back()) & number_mask;
    return number != 0 ? number : mask_ + 1; // 0 stands for none
}

Connection& ConnectionTable::put(std::unique_ptr<Connection> connection)
{
    auto& slot = slots_[free_.back()];
    free_.pop_back();
    slot = std::move(connection);
    return *slot;
}

void ConnectionTable::note_peer(Connection& connection)
{
    by_peer_.emplace(connection.peer(), connection.handshake().remote().qp, connection.number());
}

void ConnectionTable::remove(std::uint32_t number) noexcept
{
    const auto* const connection = find(number);
    if (connection == nullptr)
        return;
    by_peer_.erase({connection->peer(), connection->handshake().remote().qp, number});
    const auto index = number & mask_;
    slots_[index].reset();
    free_.insert(free_.begin(), index);
}

} // namespace p2prdma::l2
