// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/device_state.hpp"
#include "p2prdma/l2/region.hpp"

#include <memory>

namespace p2prdma::l2 {

struct ProtectionDomain::State {
    std::shared_ptr<Device::State> device;
    std::uint32_t number = 0;
};

struct Region::State {
    State(const ProtectionDomain& domain, RegisteredRange range);
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    std::shared_ptr<ProtectionDomain::State> domain;
    RegisteredRange range;
};

} // namespace p2prdma::l2
