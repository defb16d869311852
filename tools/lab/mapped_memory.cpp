// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/mapped_memory.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <system_error>

namespace lab {

MappedMemory::MappedMemory(int fd, std::size_t size, bool writable)
{
    int protection = PROT_READ | (writable ? PROT_WRITE : 0);
    void* start = ::mmap(nullptr, size, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (start == MAP_FAILED)
        throw std::system_error(errno, std::system_category(), "cannot map memory");
    bytes_ = {static_cast<std::byte*>(start), size};
}

MappedMemory::~MappedMemory()
{
    if (!bytes_.empty())
        ::munmap(bytes_.data(), bytes_.size());
}

void store(std::byte* to, std::span<const std::byte> data)
{
    constexpr std::size_t head = 8;
    constexpr std::size_t transaction = 64;
    if (data.size() > head && data.size() <= transaction) {
        std::memcpy(to + head, data.data() + head, data.size() - head);
        std::atomic_thread_fence(std::memory_order_release);
        data = data.first(head);
    }
    if (!data.empty())
        std::memcpy(to, data.data(), data.size());
}

UniqueFd make_memfd(const char* name, std::uint64_t size)
{
    UniqueFd fd{::memfd_create(name, MFD_CLOEXEC)};
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
        throw std::system_error(errno, std::system_category(), "cannot make shared memory");
    return fd;
}

} // namespace lab
