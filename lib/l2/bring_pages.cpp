// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/bring_pages.hpp"

#include "lib/l2/page_map.hpp"
#include "lib/l2/user_access.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <thread>

#include <sys/mman.h>
#include <unistd.h>

namespace p2prdma::l2 {
namespace {

// Linux 5.14; not in every libc's headers.
constexpr int populate_read = 22;
constexpr int populate_write = 23;
constexpr unsigned max_tries = 1000; ///< where the kernel says to try again

bool has_populate() noexcept
{
    static const bool has = ::madvise(nullptr, 0, populate_read) == 0;
    return has;
}

/// Before Linux 5.14.
int touch_each(std::byte* start, std::size_t length, bool for_writing) noexcept
{
    const auto page = static_cast<std::size_t>(::getpagesize());
    for (std::size_t offset = 0; offset < length; offset += page)
        if (!user_access::touch(start + offset, for_writing))
            return EFAULT;
    return 0;
}

/// 0 or what the kernel said, but for what is to be tried again.
int populate(std::byte* start, std::size_t length, bool for_writing) noexcept
{
    for (unsigned tries = 0; tries < max_tries; ++tries) {
        if (::madvise(start, length, for_writing ? populate_write : populate_read) == 0)
            return 0;
        if (errno == ENOMEM) // says both
            return PageMap::is_mapped(start, length) ? EIO : EINVAL;
        if (errno != EINTR && errno != EAGAIN)
            return errno;
        std::this_thread::sleep_for(std::chrono::microseconds(tries));
    }
    return EIO;
}

} // namespace

int bring_pages(const void* address, std::size_t length, Pager::Need need) noexcept
{
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    if (length == 0)
        return 0;
    if (length > UINTPTR_MAX - begin)
        return EFAULT;
    const std::size_t offset = begin % static_cast<std::uintptr_t>(::getpagesize());
    auto* const start = static_cast<std::byte*>(const_cast<void*>(address)) - offset;
    length += offset;
    const bool writing = need == Pager::Need::writing;
    const int error = has_populate() ? populate(start, length, writing) : ENOSYS;
    // A userfaultfd for faults of user mode only refuses those that the kernel takes for us.
    if (error == ENOSYS || error == EFAULT)
        return touch_each(start, length, writing);
    return error == 0 || error == EIO ? error : error == EHWPOISON ? EIO : EFAULT;
}

} // namespace p2prdma::l2
