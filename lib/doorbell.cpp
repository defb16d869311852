// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/doorbell.hpp"

#include "lib/internal.hpp"

#include <cerrno>

namespace p2prdma {
namespace {

Error doorbell_error(int error, const std::string& card)
{
    switch (error) {
    case ENOSPC:
        return {Errc::card_full, "all doorbell pages of " + card + " are in use"};
    case EOPNOTSUPP:
        return {Errc::unsupported, card + " has no doorbell pages"};
    case EBUSY:
        return internal::busy_error(card, "the control area's doorbell page");
    default:
        return internal::card_error(error, card, "open a doorbell page");
    }
}

} // namespace

Doorbell Card::open_doorbell(const DoorbellOptions& options) const
{
    p2prdma_doorbell_open request = {};
    request.size = sizeof(request);
    request.flags = options.control ? P2PRDMA_DOORBELL_CONTROL : 0;
    request.policy =
        options.policy == Policy::revocable ? P2PRDMA_POLICY_REVOCABLE : P2PRDMA_POLICY_PINNABLE;
    request.fd = -1;
    if (const int error = internal::control(fd_.get(), P2PRDMA_DOORBELL_OPEN, &request))
        throw doorbell_error(error, name());
    return Doorbell(UniqueFd(request.fd), request.page, request.length);
}

} // namespace p2prdma
