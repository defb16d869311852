// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/host_memory.hpp"

#include "tools/p2prdma/failure.hpp"

#include <cerrno>
#include <string>

#include <sys/mman.h>

namespace p2prdma::tool {

HostMemory::HostMemory(std::size_t length)
{
    void* start =
        ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        throw system_failure(errno, "cannot get " + std::to_string(length) + " bytes of memory");
    bytes_ = {static_cast<std::byte*>(start), length};
}

HostMemory::~HostMemory()
{
    ::munmap(bytes_.data(), bytes_.size());
}

} // namespace p2prdma::tool
