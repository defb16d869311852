// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/card_objects.hpp"

#include "tools/p2prdmad/little_endian.hpp"
#include "tools/p2prdmad/refusal.hpp"

#include <cerrno>
#include <span>
#include <utility>

namespace p2prdma::daemon {
namespace {

/// What of a doorbell page rings when it is written.
constexpr std::uint64_t ringing_bytes = 0xff0;

std::uint64_t place_of(const Memory& memory)
{
    if (!memory.card_offset())
        throw Refusal(EOPNOTSUPP, "the kernel module does not tell where in the card memory is");
    return *memory.card_offset();
}

} // namespace

void MappedDoorbell::store(std::uint64_t offset, std::uint64_t value) noexcept
{
    const auto wire = le(value);
    mapping_.fence();
    mapping_.write(offset, std::as_bytes(std::span(&wire, 1)));
}

CardMemory::CardMemory(Memory allocated, bool uncached, bool read_only)
    : memory(std::move(allocated))
{
    place = {P2PRDMA_GRANT_POOL, place_of(memory), memory.length(), uncached, read_only};
    length = memory.length();
}

CardEvent::CardEvent(Doorbell opened, bool relayed, std::string why) : doorbell(std::move(opened))
{
    place = {P2PRDMA_GRANT_DOORBELL, doorbell.page(), doorbell.length(), true, true};
    length = ringing_bytes;
    kind = relayed ? P2PRDMA_EVENT_RELAY : P2PRDMA_EVENT_P2P;
    page = doorbell.page();
    reason = std::move(why);
    page_ = std::make_unique<MappedDoorbell>(doorbell);
    page_->ring(0); // its last value is a former client's
    if (!relayed)
        page_.reset();
}

} // namespace p2prdma::daemon
