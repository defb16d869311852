// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/unique_fd.hpp"

#include <string>

namespace lab {

/// A unix socket that listens at `path`, replacing a socket that is there; accept_unix() does not
/// block on it. Throws std::system_error.
UniqueFd listen_unix(const std::string& path);

/// The next connection, non-blocking, or none.
UniqueFd accept_unix(int listener);

} // namespace lab
