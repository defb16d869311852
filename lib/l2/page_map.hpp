// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"
#include "p2prdma/unique_fd.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace p2prdma::l2 {

/// Which pages of this process are there, from /proc/self/pagemap, or from mincore() where that
/// cannot be read. What is there is believed for a short time; that something is not is looked up
/// each time. Pages that are not mapped at all are among the absent: resolving tells which.
///
/// A page counts as there although a write to it may fault: where it is shared after a fork(), the
/// page of zeros, or watched for changes, the kernel copies or marks it within a microsecond or
/// two, which is less than to find out; where it is read-only, the copy fails.
///
/// Thread-safety: one thread at a time.
class PageMap {
public:
    /// \param lifetime  for which a present page is believed to stay
    explicit PageMap(Time lifetime = std::chrono::milliseconds(1));

    /// How many bytes from `address` on, at most `length`, lie in pages that are there. `now` is
    /// any clock's; it may stand still for some calls.
    [[nodiscard]] std::size_t present(const void* address, std::size_t length, Time now) noexcept;

    /// Whether all of these pages are mapped, accessible or not; asks the kernel.
    [[nodiscard]] static bool is_mapped(const void* address, std::size_t length) noexcept;

    struct Counters {
        std::uint64_t lookups = 0; ///< system calls made
    };
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

private:
    static constexpr std::size_t block_pages = 64; ///< looked up together: 256 KiB
    struct Block {
        std::uintptr_t number = UINTPTR_MAX;
        std::uint64_t present = 0; ///< bit i: page i of it
        Time read_at{0};
    };

    [[nodiscard]] bool is_known(std::uintptr_t first, std::uintptr_t last, Time now) const noexcept;
    [[nodiscard]] std::size_t run(std::uintptr_t page, std::size_t wanted, Time now) noexcept;
    [[nodiscard]] std::uint64_t look(std::uintptr_t number) noexcept;
    [[nodiscard]] std::uint64_t look_resident(std::uintptr_t number) const noexcept;

    Time lifetime_;
    unsigned page_shift_;
    UniqueFd pagemap_;
    std::array<Block, 256> blocks_ = {};
    Counters counters_;
};

} // namespace p2prdma::l2
