// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/direct/watched_mapping.hpp"

#include "lib/internal.hpp"
#include "p2prdma/direct/loss.hpp"
#include "p2prdma/error.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <utility>

#include <sys/mman.h>

namespace p2prdma::direct {
namespace {

/// What a signal handler reads while other threads map and unmap.
struct Place {
    std::atomic<bool> taken = false;
    std::atomic<std::byte*> start = nullptr; ///< null: nothing is watched
    std::atomic<std::size_t> length = 0;
};

std::array<Place, 4096> places;
struct sigaction previous = {};

/// Puts zeros where the address lies; false if that is no mapping of ours.
bool replace(std::uintptr_t address) noexcept
{
    for (const Place& place : places) {
        std::byte* const start = place.start;
        const std::size_t length = place.length;
        const auto first = reinterpret_cast<std::uintptr_t>(start);
        if (start && address >= first && address - first < length)
            return ::mmap(start, length, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
    }
    return false;
}

void on_bus_error(int signal, siginfo_t* info, void* context)
{
    const int saved = errno;
    const bool replaced = replace(reinterpret_cast<std::uintptr_t>(info->si_addr));
    errno = saved;
    if (replaced)
        return;
    if ((previous.sa_flags & SA_SIGINFO) != 0)
        previous.sa_sigaction(signal, info, context);
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
        previous.sa_handler(signal);
    else // the access is made again, and ends the process
        ::sigaction(SIGBUS, &previous, nullptr);
}

std::size_t take_place()
{
    for (std::size_t i = 0; i < places.size(); ++i)
        if (!places[i].taken.exchange(true))
            return i;
    throw Error(std::make_error_code(std::errc::too_many_files_open),
                "this process has mapped too much card memory in pieces");
}

} // namespace

void survive_loss()
{
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action = {};
        action.sa_sigaction = on_bus_error;
        action.sa_flags = SA_SIGINFO;
        sigemptyset(&action.sa_mask);
        if (::sigaction(SIGBUS, &action, &previous) != 0)
            throw internal::system_error(errno, "cannot handle SIGBUS");
    });
}

WatchedMapping::WatchedMapping(GrantMapping mapping)
    : mapping_(std::move(mapping)), place_(take_place())
{
    // The length first: until there is a start, nothing is watched.
    places[place_].length = mapping_.size();
    places[place_].start = const_cast<std::byte*>(mapping_.span().data());
}

WatchedMapping::~WatchedMapping()
{
    // No more zeros from now on: the addresses will be somebody else's.
    places[place_].start = nullptr;
    mapping_.unmap();
    places[place_].taken = false;
}

} // namespace p2prdma::direct
