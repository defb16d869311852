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
    // In user mode, out of which one can be got. The kernel knows better why not, and brings them
    // where the handler that this needs is not in use.
    const auto touched = user_access::touch(start, length, writing);
    if (touched == user_access::Touched::all)
        return 0;
    if (touched == user_access::Touched::interrupted)
        return EINTR;
    const int error = populate(start, length, writing);
    return error == 0 || error == EIO ? error : error == EHWPOISON ? EIO : EFAULT;
}

} // namespace p2prdma::l2
