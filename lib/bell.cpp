// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/bell.hpp"

#include "lib/internal.hpp"

#include <cerrno>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace p2prdma {
namespace {

int bind(int card, std::uint32_t number, int eventfd) noexcept
{
    p2prdma_event_bind request = {};
    request.size = sizeof(request);
    request.bell = number;
    request.eventfd = eventfd;
    return internal::control(card, P2PRDMA_EVENT_BIND, &request);
}

Error bell_error(int error, const std::string& card)
{
    if (error == EOPNOTSUPP)
        return {Errc::unsupported, card + " cannot ring the host"};
    if (error == EBUSY)
        return internal::busy_error(card, "the bell");
    return internal::card_error(error, card, "bind a bell");
}

} // namespace

Bell::Bell(UniqueFd card, UniqueFd eventfd, std::uint32_t number) noexcept
    : card_(std::move(card)), eventfd_(std::move(eventfd)), number_(number)
{
}

Bell& Bell::operator=(Bell&& other) noexcept
{
    if (this != &other) {
        unbind();
        card_ = std::move(other.card_);
        eventfd_ = std::move(other.eventfd_);
        number_ = other.number_;
    }
    return *this;
}

Bell::~Bell()
{
    unbind();
}

void Bell::unbind() noexcept
{
    if (card_)
        static_cast<void>(bind(card_.get(), number_, -1)); // the card may have gone: no binding
}

bool Bell::take() noexcept
{
    std::uint64_t rings = 0;
    return ::read(eventfd_.get(), &rings, sizeof(rings)) == sizeof(rings);
}

Bell Card::bind_bell(std::uint32_t number) const
{
    UniqueFd eventfd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!eventfd)
        throw internal::system_error(errno, "cannot make an eventfd");
    if (const int error = bind(fd_.get(), number, eventfd.get()))
        throw bell_error(error, name());
    return Bell(fd_.dup(), std::move(eventfd), number);
}

} // namespace p2prdma
