// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

/// RDMA in Ethernet frames without a network layer, with page-fault flow control: libp2prdma-l2.

#include "p2prdma/l2/completion_queue.hpp"
#include "p2prdma/l2/device.hpp"
#include "p2prdma/l2/queue_pair.hpp"
#include "p2prdma/l2/region.hpp"
#include "p2prdma/l2/request.hpp"
