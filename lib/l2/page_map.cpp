// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/page_map.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace p2prdma::l2 {
namespace {

constexpr std::uint64_t entry_present = std::uint64_t{1} << 63;

unsigned page_shift() noexcept
{
    return static_cast<unsigned>(std::countr_zero(static_cast<unsigned long>(::getpagesize())));
}

bool is_resident(std::uintptr_t address, std::size_t length, unsigned char* out) noexcept
{
    auto* const start = reinterpret_cast<void*>(address); // NOLINT(performance-no-int-to-ptr)
    return ::mincore(start, length, out) == 0;
}

} // namespace

PageMap::PageMap(Time lifetime)
    : lifetime_(lifetime), page_shift_(page_shift()),
      pagemap_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC))
{
}

std::size_t PageMap::present(const void* address, std::size_t length, Time now) noexcept
{
    const auto start = reinterpret_cast<std::uintptr_t>(address);
    length = std::min(length, UINTPTR_MAX - start);
    if (length != 0 && is_known(start >> page_shift_, (start + length - 1) >> page_shift_, now))
        return length;
    const std::size_t offset = start & ((std::uintptr_t{1} << page_shift_) - 1);
    std::size_t bytes = 0; // from the beginning of the first page on
    while (bytes < offset + length) {
        const std::size_t wanted = ((offset + length - bytes - 1) >> page_shift_) + 1;
        const std::size_t pages = run((start - offset + bytes) >> page_shift_, wanted, now);
        bytes += pages << page_shift_;
        if (pages == 0 || ((start - offset + bytes) >> page_shift_) % block_pages != 0)
            break;
    }
    return bytes <= offset ? 0 : std::min(length, bytes - offset);
}

/// The usual case: all in one block, and there not long ago.
bool PageMap::is_known(std::uintptr_t first, std::uintptr_t last, Time now) const noexcept
{
    const std::uintptr_t number = first / block_pages;
    const Block& block = blocks_[number % blocks_.size()];
    if (last / block_pages != number || block.number != number || now - block.read_at >= lifetime_)
        return false;
    const std::uint64_t wanted = ~std::uint64_t{0} >> (block_pages - 1 - (last - first));
    return (~block.present & wanted << first % block_pages) == 0;
}

/// How many pages from `page` on are there, up to the end of its block, where `wanted` matter.
std::size_t PageMap::run(std::uintptr_t page, std::size_t wanted, Time now) noexcept
{
    const std::uintptr_t number = page / block_pages;
    Block& block = blocks_[number % blocks_.size()];
    const auto place = static_cast<unsigned>(page % block_pages);
    const auto pages = [&] {
        return static_cast<std::size_t>(std::countr_one(block.present >> place));
    };
    if (block.number != number || now - block.read_at >= lifetime_ ||
        pages() < std::min(wanted, block_pages - place))
        block = {number, look(number), now};
    return pages();
}

std::uint64_t PageMap::look(std::uintptr_t number) noexcept
{
    ++counters_.lookups;
    if (!pagemap_)
        return look_resident(number);
    std::array<std::uint64_t, block_pages> entries = {};
    // Beyond the address space it reads nothing, which leaves zeros: absent.
    if (::pread(pagemap_.get(), entries.data(), sizeof entries,
                static_cast<off_t>(number * sizeof entries)) < 0)
        return 0;
    std::uint64_t present = 0;
    for (std::size_t i = 0; i < block_pages; ++i)
        present |= static_cast<std::uint64_t>((entries[i] & entry_present) != 0) << i;
    return present;
}

/// Page by page where some of the block are not mapped: mincore() then tells of none.
std::uint64_t PageMap::look_resident(std::uintptr_t number) const noexcept
{
    const std::uintptr_t start = (number * block_pages) << page_shift_;
    const std::size_t page = std::size_t{1} << page_shift_;
    std::array<unsigned char, block_pages> resident = {};
    if (!is_resident(start, block_pages * page, resident.data()))
        for (std::size_t i = 0; i < block_pages; ++i)
            if (!is_resident(start + i * page, page, &resident[i]))
                resident[i] = 0;
    std::uint64_t present = 0;
    for (std::size_t i = 0; i < block_pages; ++i)
        present |= static_cast<std::uint64_t>(resident[i] & 1) << i;
    return present;
}

bool PageMap::is_mapped(const void* address, std::size_t length) noexcept
{
    const auto start = reinterpret_cast<std::uintptr_t>(address);
    const auto page = static_cast<std::uintptr_t>(::getpagesize());
    const std::uintptr_t offset = start % page;
    auto* const first = static_cast<std::byte*>(const_cast<void*>(address)) - offset;
    // MS_ASYNC does nothing but to look for holes. A length that wraps to 0 would pass.
    return start < UINTPTR_MAX - page && length < UINTPTR_MAX - page - start &&
           ::msync(first, length + offset, MS_ASYNC) == 0;
}

} // namespace p2prdma::l2
