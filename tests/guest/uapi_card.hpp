// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

// The card's ioctls as the kernel has them, without the library: for the tests of the ABI, which
// run inside a machine. The environment variable P2PRDMA_CARD names the card's device node.

#include "p2prdma/unique_fd.hpp"

#include <linux/p2prdma.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace uapi {

using p2prdma::UniqueFd;

inline constexpr std::uint64_t page = 4096;
inline constexpr std::uint64_t MiB = 1 << 20;

inline std::string card_path()
{
    const char* path = std::getenv("P2PRDMA_CARD");
    return path ? path : "/dev/p2prdma/card0";
}

inline UniqueFd open_card(int flags = O_RDWR)
{
    UniqueFd fd(::open(card_path().c_str(), flags | O_CLOEXEC));
    if (!fd)
        throw std::system_error(errno, std::generic_category(), card_path());
    return fd;
}

/// 0 or the errno.
inline int call(const UniqueFd& card, unsigned long command, void* argument)
{
    return ::ioctl(card.get(), command, argument) == 0 ? 0 : errno;
}

inline p2prdma_get_info info(const UniqueFd& card)
{
    p2prdma_get_info info = {};
    info.size = sizeof(info);
    if (const int error = call(card, P2PRDMA_GET_INFO, &info))
        throw std::system_error(error, std::generic_category(), "P2PRDMA_GET_INFO");
    return info;
}

inline std::uint64_t mem_free(const UniqueFd& card)
{
    return info(card).mem_free;
}

inline p2prdma_mem_alloc request(std::uint64_t length)
{
    p2prdma_mem_alloc alloc = {};
    alloc.size = sizeof(alloc);
    alloc.length = length;
    alloc.fd = -1;
    return alloc;
}

/// 0 or the errno; what it allocates is freed again.
inline int try_alloc(const UniqueFd& card, p2prdma_mem_alloc alloc)
{
    const int error = call(card, P2PRDMA_MEM_ALLOC, &alloc);
    if (error == 0)
        ::close(alloc.fd);
    return error;
}

inline UniqueFd allocate(const UniqueFd& card, std::uint64_t length,
                         std::uint32_t cache = P2PRDMA_CACHE_WC)
{
    p2prdma_mem_alloc alloc = request(length);
    alloc.cache = cache;
    if (const int error = call(card, P2PRDMA_MEM_ALLOC, &alloc))
        throw std::system_error(error, std::generic_category(), "P2PRDMA_MEM_ALLOC");
    return UniqueFd(alloc.fd);
}

/// A mapping, or the errno of mmap().
class Map {
public:
    Map(const UniqueFd& memory, std::size_t length, int flags = MAP_SHARED, off_t offset = 0,
        int protection = PROT_READ | PROT_WRITE)
        : address_(::mmap(nullptr, length, protection, flags, memory.get(), offset)),
          error_(address_ == MAP_FAILED ? errno : 0), length_(length)
    {
    }
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;
    ~Map()
    {
        if (error_ == 0)
            ::munmap(address_, length_);
    }

    [[nodiscard]] int error() const { return error_; }
    [[nodiscard]] void* address() const { return address_; }
    [[nodiscard]] std::span<volatile std::uint64_t> words() const
    {
        return {static_cast<volatile std::uint64_t*>(address_), length_ / sizeof(std::uint64_t)};
    }

private:
    void* address_;
    int error_;
    std::size_t length_;
};

/// The card's BARs: first and last CPU physical address of each.
inline std::vector<std::pair<std::uint64_t, std::uint64_t>> bars()
{
    const auto node = std::filesystem::path(card_path()).filename();
    std::ifstream file("/sys/class/p2prdma" / node / "device/resource");
    std::vector<std::pair<std::uint64_t, std::uint64_t>> bars;
    std::uint64_t first = 0, last = 0, flags = 0;
    while (file >> std::hex >> first >> last >> flags)
        if (last != 0)
            bars.emplace_back(first, last);
    return bars;
}

/// x86: bytes inside `bars` that the platform knows as write-combining; -1 if it does not tell.
inline std::int64_t
write_combining(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& bars)
{
    std::ifstream file("/sys/kernel/debug/x86/pat_memtype_list");
    if (!file)
        return -1;
    std::int64_t bytes = 0;
    for (std::string line; std::getline(file, line);) {
        unsigned long long start = 0, end = 0;
        if (line.find("write-combining") == std::string::npos ||
            std::sscanf(line.c_str(), "PAT: [mem %llx-%llx]", &start, &end) != 2)
            continue;
        for (const auto& [first, last] : bars)
            if (start >= first && start <= last)
                bytes += std::int64_t(end - start);
    }
    return bytes;
}

/// How a child process ended: its wait status.
template <typename Function>
int in_child(Function function)
{
    const pid_t child = ::fork();
    if (child < 0)
        throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
        ::signal(SIGSEGV, SIG_DFL); // which is how some are meant to end
        function();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

} // namespace uapi
