// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/device_copy.hpp"

#include "lib/internal.hpp"

#include <algorithm>
#include <cstring>

namespace p2prdma::internal {
namespace {

using Word = std::uint64_t;

volatile Word* word_at(volatile std::byte* address) noexcept
{
    return reinterpret_cast<volatile Word*>(address);
}

std::size_t clip(std::span<volatile std::byte> memory, std::size_t offset,
                 std::size_t length) noexcept
{
    return offset < memory.size() ? std::min(length, memory.size() - offset) : 0;
}

} // namespace

std::size_t copy_to(std::span<volatile std::byte> memory, std::size_t offset,
                    std::span<const std::byte> from) noexcept
{
    const std::size_t length = clip(memory, offset, from.size());
    volatile std::byte* to = memory.data() + (length ? offset : 0);
    const std::byte* source = from.data();
    const auto split = split_access(reinterpret_cast<std::uintptr_t>(to), length);
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

std::size_t copy_from(std::span<volatile std::byte> memory, std::size_t offset,
                      std::span<std::byte> into) noexcept
{
    const std::size_t length = clip(memory, offset, into.size());
    volatile std::byte* from = memory.data() + (length ? offset : 0);
    std::byte* target = into.data();
    const auto split = split_access(reinterpret_cast<std::uintptr_t>(from), length);
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

} // namespace p2prdma::internal
