// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

namespace p2prdma::daemon {

/// Tells systemd, if it started this process with Type=notify: "READY=1", for example.
void notify(const char* state) noexcept;

} // namespace p2prdma::daemon
