// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/session.hpp"

#include <cstdint>
#include <memory>

namespace p2prdma::direct {

class HostObject;

/// Where an adapter finds another adapter. Move-only; no request that names it may be outstanding
/// when it goes.
class P2PRDMA_API AddressHandle final {
public:
    /// \throws Error
    AddressHandle(const Session& session, std::uint32_t adapter, const Gid& gid);

    /// For Peer::address_handle.
    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

private:
    std::shared_ptr<const HostObject> object_;
    std::uint16_t number_ = 0;
};

} // namespace p2prdma::direct
