// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/area.hpp"

#include "p2prdma/fence.hpp"
#include "tools/p2prdmad/little_endian.hpp"

#include <cstring>

namespace p2prdma::daemon {

volatile std::uint32_t* Area::word(std::size_t offset) const noexcept
{
    return reinterpret_cast<volatile std::uint32_t*>(&memory_[offset]);
}

std::uint32_t Area::load32(std::size_t offset) const noexcept
{
    return le<std::uint32_t>(*word(offset));
}

void Area::store32(std::size_t offset, std::uint32_t value) noexcept
{
    *word(offset) = le(value);
}

void Area::read(std::size_t offset, std::span<std::byte> into) const noexcept
{
    for (std::size_t i = 0; i < into.size(); i += 4) {
        const std::uint32_t value = *word(offset + i);
        std::memcpy(&into[i], &value, sizeof(value));
    }
}

void Area::write(std::size_t offset, std::span<const std::byte> from) noexcept
{
    for (std::size_t i = 0; i < from.size(); i += 4) {
        std::uint32_t value = 0;
        std::memcpy(&value, &from[i], sizeof(value));
        *word(offset + i) = value;
    }
}

void Area::release() noexcept
{
    internal::store_fence();
}

void Area::acquire() noexcept
{
    internal::load_fence();
}

void Area::full() noexcept
{
    __sync_synchronize();
}

} // namespace p2prdma::daemon
