// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/endpoint.hpp"

#include "tools/p2prdma/failure.hpp"

#include <cerrno>

#include <sys/random.h>

namespace p2prdma::tool {

std::uint64_t random_number()
{
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof(number), 0) != sizeof(number))
        throw system_failure(errno, "cannot get a random number");
    return number;
}

} // namespace p2prdma::tool
