// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/bus_guard.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <stdexcept>

#include <sys/mman.h>

namespace p2prdma::daemon {
namespace {

struct Range {
    std::atomic<std::byte*> start = nullptr; ///< nullptr: not in use
    std::atomic<std::size_t> length = 0;
    std::atomic<bool> tripped = false;
};

std::array<Range, 128> ranges;

/// Puts zeroed memory where the card's was, so that the access goes on.
bool replace(Range& range, const void* where) noexcept
{
    const auto* address = static_cast<const std::byte*>(where);
    std::byte* const start = range.start.load();
    const auto length = range.length.load();
    if (!start || std::less<>()(address, start) || !std::less<>()(address, start + length))
        return false;
    range.tripped.store(true);
    return ::mmap(start, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                  -1, 0) != MAP_FAILED;
}

void on_bus_error(int, siginfo_t* info, void*) noexcept
{
    for (auto& range : ranges)
        if (replace(range, info->si_addr))
            return;
    // Not of a card: what would have happened without this handler.
    ::signal(SIGBUS, SIG_DFL);
}

void install() noexcept
{
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, nullptr);
}

std::size_t free_slot()
{
    for (std::size_t i = 0; i < ranges.size(); i++)
        if (!ranges[i].start.load())
            return i;
    throw std::length_error("too many mappings are guarded");
}

} // namespace

BusGuard::BusGuard(std::span<volatile std::byte> memory) : slot_(free_slot())
{
    install();
    ranges[slot_].length.store(memory.size());
    ranges[slot_].tripped.store(false);
    ranges[slot_].start.store(const_cast<std::byte*>(memory.data()));
}

BusGuard::~BusGuard()
{
    ranges[slot_].start.store(nullptr);
}

bool BusGuard::tripped() const noexcept
{
    return ranges[slot_].tripped.load();
}

} // namespace p2prdma::daemon
