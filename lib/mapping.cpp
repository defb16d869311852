// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/mapping.hpp"

#include "lib/fence.hpp"
#include "lib/internal.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/mman.h>

namespace p2prdma {
namespace {

using Word = std::uint64_t;

volatile Word* word_at(volatile std::byte* address) noexcept
{
    return reinterpret_cast<volatile Word*>(address);
}

} // namespace

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

std::size_t Mapping::clip(std::size_t offset, std::size_t length) const noexcept
{
    return offset < memory_.size() ? std::min(length, memory_.size() - offset) : 0;
}

std::size_t Mapping::write(std::size_t offset, std::span<const std::byte> from) noexcept
{
    const std::size_t length = clip(offset, from.size());
    volatile std::byte* to = memory_.data() + (length ? offset : 0);
    const std::byte* source = from.data();
    const auto split = internal::split_access(reinterpret_cast<std::uintptr_t>(to), length);
    for (std::size_t i = 0; i < split.head; i++)
        *to++ = *source++;
    for (std::size_t i = 0; i < split.words; i++, to += sizeof(Word), source += sizeof(Word)) {
        Word word;
        std::memcpy(&word, source, sizeof(word));
        *word_at(to) = word;
    }
    for (std::size_t i = 0; i < split.tail; i++)
        *to++ = *source++;
    return length;
}

std::size_t Mapping::read(std::size_t offset, std::span<std::byte> into) const noexcept
{
    const std::size_t length = clip(offset, into.size());
    volatile std::byte* from = memory_.data() + (length ? offset : 0);
    std::byte* target = into.data();
    const auto split = internal::split_access(reinterpret_cast<std::uintptr_t>(from), length);
    for (std::size_t i = 0; i < split.head; i++)
        *target++ = *from++;
    for (std::size_t i = 0; i < split.words; i++, from += sizeof(Word), target += sizeof(Word)) {
        const Word word = *word_at(from);
        std::memcpy(target, &word, sizeof(word));
    }
    for (std::size_t i = 0; i < split.tail; i++)
        *target++ = *from++;
    return length;
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
