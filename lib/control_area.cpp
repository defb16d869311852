// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/control_area.hpp"

#include "lib/internal.hpp"

#include <cerrno>

namespace p2prdma {
namespace {

Error control_error(int error, const std::string& card)
{
    switch (error) {
    case EBUSY:
        return internal::busy_error(card, "the control area");
    case ENOSPC:
        return {Errc::card_full, card + " has no memory left for its control area"};
    case EOPNOTSUPP:
        return {Errc::unsupported, card + " has no machine of its own"};
    default:
        return internal::card_error(error, card, "open the control area");
    }
}

} // namespace

ControlArea Card::open_control() const
{
    p2prdma_control_open request = {};
    request.size = sizeof(request);
    request.fd = -1;
    if (const int error = internal::control(fd_.get(), P2PRDMA_CONTROL_OPEN, &request))
        throw control_error(error, name());
    return ControlArea(UniqueFd(request.fd), request.epoch, request.length);
}

} // namespace p2prdma
