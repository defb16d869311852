// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/unique_event.hpp"

#include "p2prdma/error.hpp"

#include <cerrno>
#include <sys/eventfd.h>
#include <unistd.h>

namespace p2prdma::l2 {

UniqueEvent::~UniqueEvent()
{
    if (fd_ >= 0)
        ::close(fd_);
}

void UniqueEvent::open()
{
    if (fd_ >= 0)
        return;
    fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd_ < 0)
        throw Error({errno, std::system_category()}, "cannot make an eventfd");
}

void UniqueEvent::ring() noexcept
{
    if (fd_ < 0 || rung_)
        return;
    rung_ = true;
    ::eventfd_write(fd_, 1);
}

void UniqueEvent::clear() noexcept
{
    if (!rung_)
        return;
    rung_ = false;
    eventfd_t value = 0;
    ::eventfd_read(fd_, &value);
}

} // namespace p2prdma::l2
