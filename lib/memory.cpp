// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/memory.hpp"

#include "lib/internal.hpp"

#include <cerrno>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace p2prdma {
namespace {

std::uint64_t length_of(int fd)
{
    const auto end = ::lseek(fd, 0, SEEK_END);
    if (end < 0)
        throw internal::system_error(errno, "cannot tell how much memory is behind a descriptor");
    if (end == 0)
        throw Error(Errc::bad_argument, "there is no memory behind the descriptor");
    return static_cast<std::uint64_t>(end);
}

/// Which kernel module exported a dma-buf; nothing if the descriptor is none.
std::optional<std::string> exporter_of(int fd)
{
    constexpr std::string_view key = "exp_name:";
    std::ifstream lines("/proc/self/fdinfo/" + std::to_string(fd));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(key))
            return line.substr(line.find_first_not_of(" \t", key.size()));
    }
    return std::nullopt;
}

} // namespace

Memory Memory::adopt(UniqueFd dmabuf)
{
    const auto exporter = exporter_of(dmabuf.get());
    if (!exporter)
        throw Error(Errc::bad_argument, "the descriptor is no dma-buf, so it is no card memory");
    if (*exporter != "p2prdma")
        throw Error(Errc::bad_argument,
                    "the dma-buf is memory of " + *exporter + ", not of a card of p2prdma");
    return Memory(std::move(dmabuf));
}

Memory::Memory(UniqueFd dmabuf, Cache cache, std::optional<unsigned> card,
               std::optional<std::uint64_t> card_offset)
    : fd_(std::move(dmabuf)), length_(length_of(fd_.get())), cache_(cache), card_(card),
      card_offset_(card_offset)
{
}

Memory::Memory(UniqueFd dmabuf, const Memory& other) noexcept
    : fd_(std::move(dmabuf)), length_(other.length_), cache_(other.cache_), card_(other.card_),
      card_offset_(other.card_offset_)
{
}

Mapping Memory::map() const
{
    return Mapping(fd_.get(), length_);
}

Memory Memory::share() const
{
    return Memory(fd_.dup(), *this);
}

UniqueFd Memory::release() noexcept
{
    length_ = 0;
    return std::move(fd_);
}

} // namespace p2prdma
