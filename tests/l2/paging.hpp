// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/pager.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Memory that pages of are missing, for tests.
namespace paging {

inline const std::size_t page = static_cast<std::size_t>(::getpagesize());

/// Mapped memory, fresh anonymous unless said otherwise; unmapped in the end. It lies where nobody
/// else is given memory, so that what a test unmaps stays so.
class Mapping {
public:
    explicit Mapping(std::size_t pages, int protection = PROT_READ | PROT_WRITE,
                     int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1)
        : length_(pages * page)
    {
        static std::atomic<std::uintptr_t> place = first_place;
        constexpr std::uintptr_t huge = 2 * 1024 * 1024;
        const auto here = place.fetch_add((length_ + 2 * huge) / huge * huge);
        void* const start = ::mmap(reinterpret_cast<void*>(here), length_, protection,
                                   flags | MAP_FIXED_NOREPLACE, fd, 0);
        if (start == MAP_FAILED)
            throw std::runtime_error(std::string("mmap: ") + std::strerror(errno));
        start_ = static_cast<std::byte*>(start);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() { ::munmap(start_, length_); }

    [[nodiscard]] std::byte* at(std::size_t number) const { return start_ + number * page; }
    [[nodiscard]] std::size_t size() const { return length_; }
    [[nodiscard]] std::span<std::byte> span() const { return {start_, length_}; }
    /// Writes to each page.
    void touch(std::size_t first, std::size_t count) const
    {
        for (std::size_t i = first; i < first + count; ++i)
            *const_cast<volatile std::byte*>(at(i)) = static_cast<std::byte>(i);
    }
    void unmap(std::size_t first, std::size_t count) const { ::munmap(at(first), count * page); }

private:
#ifdef __SANITIZE_THREAD__ // knows of this only
    static constexpr std::uintptr_t first_place = 0x1000000000;
#else
    static constexpr std::uintptr_t first_place = 0x200000000000;
#endif
    std::byte* start_ = nullptr;
    std::size_t length_;
};

/// A userfaultfd for absent pages of one range: the test answers. On destruction whoever waits for
/// a page of it goes on.
class Userfault {
public:
    enum class Scope { all, user_mode };

    /// Nothing if it is not permitted here.
    static std::optional<int> open(Scope scope)
    {
        const int user_mode = scope == Scope::user_mode ? UFFD_USER_MODE_ONLY : 0;
        const auto fd =
            static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | user_mode));
        return fd < 0 ? std::nullopt : std::optional(fd);
    }

    Userfault(int fd, std::span<std::byte> range) : fd_(fd), range_(range)
    {
        uffdio_api api = {};
        api.api = UFFD_API;
        uffdio_register wanted = {};
        wanted.range = {reinterpret_cast<std::uintptr_t>(range.data()), range.size()};
        wanted.mode = UFFDIO_REGISTER_MODE_MISSING;
        if (::ioctl(fd_, UFFDIO_API, &api) != 0 || ::ioctl(fd_, UFFDIO_REGISTER, &wanted) != 0)
            throw std::runtime_error(std::string("userfaultfd: ") + std::strerror(errno));
    }
    Userfault(const Userfault&) = delete;
    Userfault& operator=(const Userfault&) = delete;
    ~Userfault() { ::close(fd_); }

    /// The page that somebody waits for, or null if nobody does within the time.
    std::byte* wait(int milliseconds = 5000)
    {
        pollfd one = {fd_, POLLIN, 0};
        uffd_msg message = {};
        if (::poll(&one, 1, milliseconds) != 1 || ::read(fd_, &message, sizeof message) <= 0)
            return nullptr;
        return reinterpret_cast<std::byte*>(message.arg.pagefault.address & ~(page - 1));
    }
    /// Gives the page, full of `value`.
    void answer(std::byte* where, std::byte value)
    {
        const std::vector<std::byte> content(page, value);
        uffdio_copy copy = {};
        copy.dst = reinterpret_cast<std::uintptr_t>(where);
        copy.src = reinterpret_cast<std::uintptr_t>(content.data());
        copy.len = page;
        if (::ioctl(fd_, UFFDIO_COPY, &copy) != 0 && errno != EEXIST)
            throw std::runtime_error(std::string("UFFDIO_COPY: ") + std::strerror(errno));
    }

private:
    int fd_;
    std::span<std::byte> range_;
};

/// What ends within the time; for resolvers and pagers.
template <typename Source>
std::vector<p2prdma::l2::Pager::Resolved> wait_for(Source& source, std::size_t count,
                                                   int milliseconds = 10000)
{
    std::vector<p2prdma::l2::Pager::Resolved> all;
    std::array<p2prdma::l2::Pager::Resolved, 64> some = {};
    pollfd one = {source.fd(), POLLIN, 0};
    while (all.size() < count && ::poll(&one, 1, milliseconds) == 1) {
        const std::size_t got = source.take(some);
        all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(got));
    }
    return all;
}

} // namespace paging
