// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/event.hpp"

#include "lib/direct/target.hpp"
#include "lib/internal.hpp"
#include "p2prdma/fence.hpp"

#include <array>
#include <cerrno>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace p2prdma::direct {
namespace {

// Of a doorbell page: Documentation/refcard.rst.
constexpr std::size_t page_size = 4096;
constexpr std::size_t count_offset = 0xff0;
constexpr std::size_t value_offset = 0xff8;
/// After a wake-up that did not come, the count is looked at all the same.
constexpr std::chrono::milliseconds longest_sleep{1000};

UniqueFd make_eventfd()
{
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd)
        throw internal::system_error(errno, "cannot make an eventfd");
    return fd;
}

template <class Integer>
Integer load(const Target& target, std::size_t offset) noexcept
{
    const auto* at =
        reinterpret_cast<const volatile Integer*>(target.mapping.span().data() + offset);
    const Integer value = little(Integer{*at});
    internal::load_fence(); // what the raise announces is not looked at before
    return value;
}

} // namespace

Event::Event(const Session& session, std::uint32_t adapter, EventOptions options)
    : fd_(make_eventfd())
{
    p2prdma_event_create_request request = {};
    request.adapter = little(adapter);
    request.flags = little(std::uint32_t{options.relayed});
    const auto reply = session.link()->ask<p2prdma_event_create_reply>(P2PRDMA_OP_EVENT_CREATE,
                                                                       request, "make an event");
    const auto grant = little(reply.grant);
    target_ = std::make_shared<Target>(session.link(), P2PRDMA_OP_EVENT_DESTROY, little(reply.id),
                                       grant, page_size, false);
    session.card().bind_event(grant, fd_.get());
    reason_ = text_of(reply.reason);
    p2p_ = little(reply.kind) == P2PRDMA_EVENT_P2P;
}

std::uint32_t Event::count() const noexcept
{
    return load<std::uint32_t>(*target_, count_offset);
}

std::uint64_t Event::value() const noexcept
{
    return load<std::uint64_t>(*target_, value_offset);
}

void Event::drain() const noexcept
{
    std::uint64_t raises = 0;
    static_cast<void>(::read(fd_.get(), &raises, sizeof(raises)));
}

Wakeup Event::wait(std::uint32_t seen, Clock::time_point deadline) const noexcept
{
    const auto& card = target_->object.link().card();
    for (;;) {
        drain(); // before looking: a raise from now on makes it readable again
        if (!card.alive() || card.lost_window())
            return Wakeup::gone;
        if (count() != seen)
            return Wakeup::raised;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0)
            return Wakeup::timeout;
        std::array<pollfd, 2> sources = {{{fd_.get(), POLLIN, 0}, {card.fd(), 0, 0}}};
        static_cast<void>(::poll(sources.data(), sources.size(),
                                 static_cast<int>(std::min(left, longest_sleep).count())));
    }
}

} // namespace p2prdma::direct
