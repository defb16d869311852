// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/version.hpp"

#define P2PRDMA_TEXT(value) #value
#define P2PRDMA_DOTTED(major, minor, patch)                                                        \
    P2PRDMA_TEXT(major) "." P2PRDMA_TEXT(minor) "." P2PRDMA_TEXT(patch)

namespace p2prdma {

const char* library_version() noexcept
{
    return P2PRDMA_DOTTED(P2PRDMA_VERSION_MAJOR, P2PRDMA_VERSION_MINOR, P2PRDMA_VERSION_PATCH);
}

} // namespace p2prdma
