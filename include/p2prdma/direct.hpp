// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

/// All that a program on a card's own machine needs to drive an adapter of the host's by itself.

#include "p2prdma/direct/address_handle.hpp"
#include "p2prdma/direct/completion_queue.hpp"
#include "p2prdma/direct/counter.hpp"
#include "p2prdma/direct/event.hpp"
#include "p2prdma/direct/memory.hpp"
#include "p2prdma/direct/queue_pair.hpp"
#include "p2prdma/direct/region.hpp"
#include "p2prdma/direct/stream.hpp"
