// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/page_map.hpp"
#include "lib/l2/pager.hpp"
#include "lib/l2/resolver.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma::l2 {

/// The pager of this process's memory.
///
/// Between present() and a copy a page may go again. Then the copy brings it itself, which takes a
/// few microseconds for fresh memory, and as long as the disk for what was swapped out just then;
/// it ends after 10 to 20 ms if the page is a userfaultfd's, which may never answer.
class ProcessPager final : public Pager {
public:
    struct Config {
        Resolver::Config resolver;
        Time page_map_lifetime = std::chrono::milliseconds(1);
    };

    /// \throws Error no thread, no eventfd, or no signal handler can be had
    explicit ProcessPager(const Config& config);

    [[nodiscard]] std::size_t present(const void* address, std::size_t length,
                                      Need need) noexcept override;
    [[nodiscard]] std::uint32_t resolve(std::uint64_t token, const void* address,
                                        std::size_t length, Need need,
                                        std::size_t ahead = 0) noexcept override;
    void forget(std::uint64_t token) noexcept override;
    [[nodiscard]] std::size_t take(std::span<Resolved> out) noexcept override;
    [[nodiscard]] int fd() const noexcept override;
    [[nodiscard]] std::size_t copy_in(void* to, std::span<const std::byte> from) noexcept override;
    [[nodiscard]] std::size_t copy_out(std::span<std::byte> to, const void* from) noexcept override;
    void prefetch(const void* address, std::size_t length, Need need) noexcept override;

    [[nodiscard]] Resolver::Counters counters() const noexcept { return resolver_.counters(); }
    [[nodiscard]] const PageMap::Counters& lookups() const noexcept { return map_.counters(); }

private:
    void look_at_clock() noexcept;

    PageMap map_;
    Resolver resolver_;
    Time now_{0};
    unsigned asked_ = 0; ///< present() since the clock was read
    bool clock_is_old_ = true;
};

} // namespace p2prdma::l2
