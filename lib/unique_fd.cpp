// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/unique_fd.hpp"

#include "lib/internal.hpp"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace p2prdma {

void UniqueFd::reset(int fd) noexcept
{
    const int old = std::exchange(fd_, fd);
    if (old >= 0)
        ::close(old);
}

UniqueFd UniqueFd::dup() const
{
    const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        throw internal::system_error(errno, "cannot duplicate a descriptor");
    return UniqueFd(copy);
}

} // namespace p2prdma
