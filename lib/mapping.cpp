// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/mapping.hpp"

#include "lib/device_copy.hpp"
#include "lib/internal.hpp"
#include "p2prdma/fence.hpp"

#include <cerrno>
#include <utility>

#include <sys/mman.h>

namespace p2prdma {
Mapping::Mapping(int dmabuf_fd, std::size_t length)
{
    void* start = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf_fd, 0);
    if (start == MAP_FAILED) {
        const int error = errno;
        if (error == ENODEV || error == ENXIO)
            throw Error(Errc::card_gone,
                        "cannot map card memory: the card has been removed or unbound");
        throw internal::system_error(error, "cannot map card memory");
    }
    memory_ = {static_cast<volatile std::byte*>(start), length};
}

Mapping::Mapping(Mapping&& other) noexcept : memory_(std::exchange(other.memory_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept
{
    if (this != &other) {
        unmap();
        memory_ = std::exchange(other.memory_, {});
    }
    return *this;
}

Mapping::~Mapping()
{
    unmap();
}

void Mapping::unmap() noexcept
{
    if (!memory_.empty())
        ::munmap(const_cast<std::byte*>(memory_.data()), memory_.size());
}

std::size_t Mapping::write(std::size_t offset, std::span<const std::byte> from) noexcept
{
    return internal::copy_to(memory_, offset, from);
}

std::size_t Mapping::read(std::size_t offset, std::span<std::byte> into) const noexcept
{
    return internal::copy_from(memory_, offset, into);
}

void Mapping::fence() const noexcept
{
    internal::store_fence();
}

void Mapping::flush() const noexcept
{
    internal::store_fence();
    if (!memory_.empty())
        static_cast<void>(*memory_.data());
    internal::load_fence();
}

} // namespace p2prdma
