// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/direct/efa_ring.hpp"

#include "p2prdma/error.hpp"

#include <algorithm>
#include <bit>
#include <string>

namespace p2prdma::direct::efa {
namespace {

constexpr std::uint32_t max_entries = 32768; // producer counts have 16 bits, and a phase bit

bool aligned(volatile const void* address, std::uintptr_t to) noexcept
{
    return reinterpret_cast<std::uintptr_t>(address) % to == 0;
}

void require(bool condition, const std::string& sentence)
{
    if (!condition)
        throw Error(Errc::bad_argument, sentence);
}

} // namespace

volatile std::uint64_t* checked_ring(std::span<volatile std::byte> memory, std::uint32_t entries,
                                     std::uint32_t entry_size,
                                     std::initializer_list<std::uint32_t> sizes)
{
    require(std::ranges::find(sizes, entry_size) != sizes.end(),
            "a queue has no entries of " + std::to_string(entry_size) + " bytes");
    require(std::has_single_bit(entries) && entries <= max_entries,
            "a queue of " + std::to_string(entries) + " entries: must be a power of two, at most " +
                std::to_string(max_entries));
    require(memory.size() / entry_size >= entries, "a queue of " + std::to_string(entries) +
                                                       " entries does not fit into " +
                                                       std::to_string(memory.size()) + " bytes");
    require(aligned(memory.data(), sizeof(std::uint64_t)), "a queue's memory is not 8-aligned");
    return reinterpret_cast<volatile std::uint64_t*>(memory.data());
}

volatile std::uint32_t* checked_doorbell(volatile std::uint32_t* doorbell)
{
    require(doorbell && aligned(doorbell, sizeof(*doorbell)), "a doorbell is not 4-aligned");
    return doorbell;
}

} // namespace p2prdma::direct::efa
