// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/memory.hpp"

#include "lib/internal.hpp"

#include <cerrno>
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

} // namespace

Memory::Memory(UniqueFd dmabuf, Cache cache, std::optional<unsigned> card)
    : fd_(std::move(dmabuf)), length_(length_of(fd_.get())), cache_(cache), card_(card)
{
}

Memory::Memory(UniqueFd dmabuf, std::uint64_t length, Cache cache,
               std::optional<unsigned> card) noexcept
    : fd_(std::move(dmabuf)), length_(length), cache_(cache), card_(card)
{
}

Mapping Memory::map() const
{
    return Mapping(fd_.get(), length_);
}

Memory Memory::share() const
{
    return Memory(fd_.dup(), length_, cache_, card_);
}

UniqueFd Memory::release() noexcept
{
    length_ = 0;
    return std::move(fd_);
}

} // namespace p2prdma
