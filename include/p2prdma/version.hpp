// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

/// The version of the headers, MAJOR.MINOR.PATCH. While MAJOR is 0, any MINOR may break the ABI.
#define P2PRDMA_VERSION_MAJOR 0
#define P2PRDMA_VERSION_MINOR 1
#define P2PRDMA_VERSION_PATCH 0

namespace p2prdma {

/// The version of the library that is linked, "MAJOR.MINOR.PATCH": a static string.
[[nodiscard]] P2PRDMA_API const char* library_version() noexcept;

} // namespace p2prdma
