// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/grant_mapping.hpp"

#include <utility>

#include <sys/mman.h>

namespace p2prdma {

GrantMapping::GrantMapping(GrantMapping&& other) noexcept
    : memory_(std::exchange(other.memory_, {}))
{
}

GrantMapping& GrantMapping::operator=(GrantMapping&& other) noexcept
{
    if (this != &other) {
        unmap();
        memory_ = std::exchange(other.memory_, {});
    }
    return *this;
}

GrantMapping::~GrantMapping()
{
    unmap();
}

void GrantMapping::unmap() noexcept
{
    if (!memory_.empty())
        ::munmap(const_cast<std::byte*>(memory_.data()), memory_.size());
    memory_ = {};
}

} // namespace p2prdma
