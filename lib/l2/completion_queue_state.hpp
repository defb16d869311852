// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/completion_ring.hpp"
#include "lib/l2/device_state.hpp"
#include "p2prdma/l2/completion_queue.hpp"

#include <memory>

namespace p2prdma::l2 {

struct CompletionQueue::State {
    std::shared_ptr<Device::State> device;
    CompletionRing ring;
};

} // namespace p2prdma::l2
