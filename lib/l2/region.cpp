// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/region_state.hpp"

#include "p2prdma/error.hpp"

#include <limits>
#include <mutex>

namespace p2prdma::l2 {
namespace {

std::uint64_t number(const void* address) noexcept
{
    return reinterpret_cast<std::uintptr_t>(address);
}

RegisteredRange range_of(const void* start, std::uint64_t length, Access access, bool implicit)
{
    RegisteredRange range;
    range.start = number(start);
    range.length = length;
    range.access = access;
    range.implicit = implicit;
    return range;
}

void check(const RegisteredRange& range)
{
    std::uint64_t end = 0;
    if (__builtin_add_overflow(range.start, range.length, &end))
        throw Error(Errc::bad_argument, "a region reaches beyond the address space");
    const bool changes = (static_cast<unsigned>(range.access) &
                          static_cast<unsigned>(Access::remote_write | Access::remote_atomic)) != 0;
    if (!allows(Access::all, range.access) ||
        (changes && !allows(range.access, Access::local_write)))
        throw Error(Errc::bad_argument,
                    "a region that peers may write to must also be writable here");
}

} // namespace

ProtectionDomain::ProtectionDomain(const Device& device)
    : state_(std::make_shared<State>(State{device.state(), 0}))
{
    const std::lock_guard lock(state_->device->mutex);
    state_->number = state_->device->engine.new_domain();
}

Region::State::State(const ProtectionDomain& domain_, RegisteredRange range_)
    : domain(domain_.state()), range(range_)
{
    check(range);
    range.domain = domain->number;
    const std::lock_guard lock(domain->device->mutex);
    range.key = domain->device->engine.memory().add(range);
}

// Whoever reads or writes by this key does so with the lock held, and looks for the key each time.
Region::State::~State()
{
    const std::lock_guard lock(domain->device->mutex);
    domain->device->engine.memory().remove(range.key);
}

Region::Region(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Region::Region(Region&&) noexcept = default;
Region& Region::operator=(Region&&) noexcept = default;
Region::~Region() = default;

Region::Region(const ProtectionDomain& domain, std::span<std::byte> memory, Access access)
    : state_(std::make_unique<State>(domain, range_of(memory.data(), memory.size(), access, false)))
{
}

Region Region::implicit(const ProtectionDomain& domain, void* start, std::size_t length,
                        Access access)
{
    return Region(std::make_unique<State>(domain, range_of(start, length, access, true)));
}

Region Region::implicit_all(const ProtectionDomain& domain, Access access)
{
    constexpr auto all = std::numeric_limits<std::uint64_t>::max();
    return Region(std::make_unique<State>(domain, range_of(nullptr, all, access, true)));
}

void Region::restrict_to(const MacAddress& peer)
{
    const std::lock_guard lock(state_->domain->device->mutex);
    state_->domain->device->engine.memory().restrict_to(state_->range.key, peer);
}

void Region::prefetch(void* start, std::size_t length, bool for_writing) const
{
    const auto from = number(start);
    const auto& range = state_->range;
    if (!range.implicit || from < range.start || from - range.start > range.length ||
        length > range.length - (from - range.start))
        throw Error(Errc::bad_argument, "what is to be prefetched is not in the implicit region");
    const std::lock_guard lock(state_->domain->device->mutex);
    state_->domain->device->pager.prefetch(
        start, length, for_writing ? Pager::Need::writing : Pager::Need::reading);
}

std::uint32_t Region::key() const noexcept
{
    return state_->range.key;
}

bool Region::is_implicit() const noexcept
{
    return state_->range.implicit;
}

} // namespace p2prdma::l2
