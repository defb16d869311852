// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/retired.hpp"

#include "tools/p2prdmad/grant_table.hpp"

#include <algorithm>

namespace p2prdma::daemon {

Retired::Retired(GrantTable& table, std::uint32_t client, std::vector<std::uint32_t> grants,
                 std::shared_ptr<Object> object, std::shared_ptr<void> charge) noexcept
    : table_(&table), client_(client), grants_(std::move(grants)), object_(std::move(object)),
      charge_(std::move(charge))
{
}

Retired& Retired::operator=(Retired&& other) noexcept
{
    if (this != &other) {
        release();
        table_ = other.table_;
        client_ = other.client_;
        grants_ = std::move(other.grants_);
        object_ = std::move(other.object_);
        charge_ = std::move(other.charge_);
    }
    return *this;
}

bool Retired::acknowledged() const noexcept
{
    return std::ranges::all_of(grants_,
                               [this](std::uint32_t grant) { return table_->acknowledged(grant); });
}

void Retired::release() noexcept
{
    object_.reset();
    for (const auto grant : std::exchange(grants_, {}))
        table_->free(grant);
    charge_.reset();
}

void Quarantine::sweep()
{
    std::erase_if(all_, [](const Retired& retired) { return retired.acknowledged(); });
}

void Quarantine::forget(std::uint32_t client)
{
    std::erase_if(all_, [client](const Retired& retired) { return retired.client() == client; });
}

} // namespace p2prdma::daemon
