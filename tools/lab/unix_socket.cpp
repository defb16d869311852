// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/unix_socket.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>

namespace lab {

namespace {

/// Removes what a server before left there, and nothing else.
void remove_socket(const std::string& path)
{
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode))
        ::unlink(path.c_str());
}

} // namespace

UniqueFd listen_unix(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path))
        throw std::system_error(ENAMETOOLONG, std::system_category(), "cannot listen at " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    remove_socket(path);
    UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(fd.get(), 8) != 0)
        throw std::system_error(errno, std::system_category(), "cannot listen at " + path);
    return fd;
}

UniqueFd accept_unix(int listener)
{
    return UniqueFd{::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
}

} // namespace lab
