// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/failure.hpp"

#include "p2prdma/error.hpp"

#include <cerrno>
#include <new>
#include <system_error>

namespace p2prdma::tool {
namespace {

struct Name {
    Exit status;
    const char* code;
};

Name name_of(Errc cause)
{
    switch (cause) {
    case Errc::module_not_loaded:
        return {Exit::no_device, "module_not_loaded"};
    case Errc::no_such_card:
        return {Exit::no_device, "no_such_card"};
    case Errc::not_a_card:
        return {Exit::no_device, "not_a_card"};
    case Errc::card_gone:
        return {Exit::no_device, "card_gone"};
    case Errc::no_such_adapter:
        return {Exit::no_device, "no_such_adapter"};
    case Errc::card_full:
        return {Exit::no_space, "card_full"};
    case Errc::unreachable:
        return {Exit::unreachable, "unreachable"};
    case Errc::not_permitted:
        return {Exit::failed, "not_permitted"};
    case Errc::unsupported:
        return {Exit::failed, "unsupported"};
    case Errc::bad_argument:
        return {Exit::usage, "bad_argument"};
    case Errc::not_isolated:
        return {Exit::failed, "not_isolated"};
    case Errc::version_mismatch:
        return {Exit::failed, "version_mismatch"};
    case Errc::host_not_serving:
        return {Exit::no_device, "host_not_serving"};
    case Errc::host_gone:
        return {Exit::no_device, "host_gone"};
    case Errc::host_timeout:
        return {Exit::failed, "host_timeout"};
    case Errc::host_mismatch:
        return {Exit::failed, "host_mismatch"};
    case Errc::host_busy:
        return {Exit::failed, "host_busy"};
    }
    return {Exit::failed, "failed"};
}

bool is_about_peer(const std::error_code& code)
{
    return code == std::errc::connection_refused || code == std::errc::connection_aborted ||
           code == std::errc::timed_out;
}

} // namespace

Failure Failure::of(const std::exception& error)
{
    if (const auto* failure = dynamic_cast<const Failure*>(&error))
        return *failure;
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    if (system && system->code().category() == error_category()) {
        const auto name = name_of(static_cast<Errc>(system->code().value()));
        return {name.status, name.code, error.what()};
    }
    if (system && system->code().category() == std::system_category() &&
        is_about_peer(system->code()))
        return {Exit::peer_lost, "peer_lost", error.what()};
    if (dynamic_cast<const std::bad_alloc*>(&error))
        return {Exit::failed, "out_of_memory", "out of memory"};
    return {Exit::failed, "failed", error.what()};
}

Failure system_failure(int error, const std::string& what)
{
    const auto sentence = what + ": " + std::system_category().message(error);
    if (error == ENOSPC || error == EDQUOT)
        return {Exit::no_space, "disk_full", sentence};
    return {Exit::failed, "failed", sentence};
}

} // namespace p2prdma::tool
