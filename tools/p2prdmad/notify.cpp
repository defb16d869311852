// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/notify.hpp"

#include "p2prdma/unique_fd.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>

namespace p2prdma::daemon {

void notify(const char* state) noexcept
{
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (!path || std::strlen(path) >= sizeof(address.sun_path))
        return;
    std::copy_n(path, std::strlen(path), address.sun_path);
    if (*path == '@') // the abstract name space
        address.sun_path[0] = '\0';
    const auto length = offsetof(sockaddr_un, sun_path) + std::strlen(path);
    const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ::sendto(socket.get(), state, std::strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
             reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length));
}

} // namespace p2prdma::daemon
