// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/guard.hpp"

#include "p2prdma/error.hpp"

#include <csetjmp>
#include <csignal>
#include <stdexcept>

namespace p2prdma::tool {
namespace {

sigjmp_buf escape;
volatile std::sig_atomic_t guarding = 0;

extern "C" void on_bus_error(int signal)
{
    if (guarding)
        siglongjmp(escape, 1);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void install()
{
    struct sigaction action = {};
    action.sa_handler = on_bus_error;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, nullptr);
}

/// Runs `access`, which must own nothing: it may be left in the middle.
template <class Access>
void guard(Access&& access)
{
    static const bool installed = (install(), true);
    static_cast<void>(installed);
    if (sigsetjmp(escape, 1) != 0) {
        guarding = 0;
        throw Error(Errc::card_gone, "the card has been removed or unbound during the transfer");
    }
    guarding = 1;
    access();
    guarding = 0;
}

void require_inside(const Mapping& mapping, std::size_t offset, std::size_t length)
{
    if (offset > mapping.size() || length > mapping.size() - offset)
        throw std::out_of_range("an access beyond the card memory that is mapped");
}

} // namespace

void guarded_read(const Mapping& from, std::size_t offset, std::span<std::byte> into)
{
    require_inside(from, offset, into.size());
    guard([&] { from.read(offset, into); });
}

void guarded_write(Mapping& to, std::size_t offset, std::span<const std::byte> data)
{
    require_inside(to, offset, data.size());
    guard([&] {
        to.write(offset, data);
        to.flush();
    });
}

} // namespace p2prdma::tool
