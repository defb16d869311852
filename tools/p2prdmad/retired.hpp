// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdmad/provider.hpp"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace p2prdma::daemon {

class GrantTable;

/// An object that its client has given up, but of which the card may have mappings: it stays until
/// the card has unmapped what was granted, so that nothing of it is given to another client.
/// Move-only; when it goes the object is destroyed, then its grants are free.
class Retired {
public:
    /// `charge` is released with it.
    Retired(GrantTable& table, std::uint32_t client, std::vector<std::uint32_t> grants,
            std::shared_ptr<Object> object, std::shared_ptr<void> charge) noexcept;
    Retired(Retired&& other) noexcept = default;
    Retired& operator=(Retired&& other) noexcept;
    Retired(const Retired&) = delete;
    Retired& operator=(const Retired&) = delete;
    ~Retired() { release(); }

    std::uint32_t client() const noexcept { return client_; }
    /// Whether the card has no mapping left.
    bool acknowledged() const noexcept;

private:
    void release() noexcept;

    GrantTable* table_;
    std::uint32_t client_;
    std::vector<std::uint32_t> grants_;
    std::shared_ptr<Object> object_;
    std::shared_ptr<void> charge_;
};

/// What the card did not acknowledge in time. It is kept until it does, or the client is gone, or
/// the epoch is over.
class Quarantine {
public:
    void add(Retired retired) { all_.push_back(std::move(retired)); }
    /// Lets go what the card has acknowledged by now.
    void sweep();
    /// Lets go what was a client's: the card has no mapping of it left.
    void forget(std::uint32_t client);
    bool empty() const noexcept { return all_.empty(); }

private:
    std::vector<Retired> all_;
};

} // namespace p2prdma::daemon
