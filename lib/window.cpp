// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/window.hpp"

#include "lib/internal.hpp"

#include <cerrno>

#include <poll.h>
#include <sys/ioctl.h>

namespace p2prdma {
namespace {

constexpr std::uint32_t to_uapi(Access access) noexcept
{
    static_assert(P2PRDMA_ACCESS_READ == static_cast<int>(Access::read));
    static_assert(P2PRDMA_ACCESS_WRITE == static_cast<int>(Access::write));
    return static_cast<std::uint32_t>(access);
}

Error window_error(int error, const std::string& card)
{
    switch (error) {
    case ENOSPC:
        return {Errc::card_full, "all windows of " + card + " are in use"};
    case EOPNOTSUPP:
        return {Errc::unsupported,
                card + " has no windows, or cannot reach what is to be behind one"};
    default:
        return internal::card_error(error, card, "open a window");
    }
}

} // namespace

bool Window::is_open() const noexcept
{
    pollfd watched = {fd_.get(), 0, 0};
    return ::poll(&watched, 1, 0) == 0;
}

void Window::shut() noexcept
{
    ::ioctl(fd_.get(), P2PRDMA_WINDOW_SHUT, 0);
}

Window Card::open_window(int dmabuf, std::uint64_t offset, std::uint64_t length,
                         Access access) const
{
    p2prdma_window_open request = {};
    request.size = sizeof(request);
    request.dmabuf_fd = dmabuf;
    request.access = to_uapi(access);
    request.offset = offset;
    request.length = length;
    request.fd = -1;
    if (const int error = internal::control(fd_.get(), P2PRDMA_WINDOW_OPEN, &request))
        throw window_error(error, name());
    return Window(UniqueFd(request.fd), request.slot, request.aperture_offset, length);
}

} // namespace p2prdma
