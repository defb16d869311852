// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

namespace p2prdma::direct {

/// From now on an access to memory of a session that the host has taken back, or whose host is
/// gone, does not end the process by SIGBUS: the mapping it lies in becomes plain memory of zeros,
/// which nobody else sees, and Session::alive() tells. Installs a signal handler, once; SIGBUS of
/// other memory goes to the handler that was there before. \throws Error
P2PRDMA_API void survive_loss();

} // namespace p2prdma::direct
