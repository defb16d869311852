// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/refusal.hpp"

#include "p2prdma/error.hpp"

#include <cerrno>
#include <new>
#include <system_error>

namespace p2prdma::daemon {
namespace {

int errno_of(const std::error_code& code)
{
    if (code.category() == std::system_category() || code.category() == std::generic_category())
        return code.value() ? code.value() : EIO;
    if (code.category() != error_category())
        return EIO;
    switch (static_cast<Errc>(code.value())) {
    case Errc::card_full:
        return ENOSPC;
    case Errc::card_gone:
    case Errc::no_such_card:
    case Errc::no_such_adapter:
        return ENODEV;
    case Errc::not_permitted:
        return EACCES;
    case Errc::bad_argument:
        return EINVAL;
    default:
        return EOPNOTSUPP;
    }
}

} // namespace

Refusal Refusal::of(const std::exception& error)
{
    if (const auto* refusal = dynamic_cast<const Refusal*>(&error))
        return *refusal;
    if (dynamic_cast<const std::bad_alloc*>(&error))
        return {ENOMEM, "out of memory"};
    if (const auto* system = dynamic_cast<const std::system_error*>(&error))
        return {errno_of(system->code()), error.what()};
    return {EIO, error.what()};
}

} // namespace p2prdma::daemon
