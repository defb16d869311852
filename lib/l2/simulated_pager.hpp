// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/pager.hpp"
#include "lib/l2/port.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace p2prdma::l2 {

/// A pager in virtual time: what is present, how long pages take and when they go again is said by
/// the test, or drawn with a seed. The memory is real and always mapped; absence is only told, and
/// copies that disregard it are counted. Memory that was never given to track() is present.
///
/// In a simulation: advance(now) before Engine::progress(now); wake up at next().
class SimulatedPager final : public Pager {
public:
    struct Config {
        std::uint64_t seed = 1;
        double absent = 1; ///< share of the pages, 0 to 1, that are absent when they are tracked
        /// What a resolve takes: drawn evenly from between these two.
        Time shortest = std::chrono::microseconds(100);
        Time longest = std::chrono::microseconds(100);
        double estimate_factor = 1;                 ///< of that, this much is told
        Time vanish_interval{0};                    ///< mean, of a present page to go; 0: none
        Time fault_limit = std::chrono::seconds(5); ///< of a resolve: then ETIMEDOUT
        bool brings_ahead = true;     ///< what is needed next comes with what is resolved
        std::size_t page_size = 4096; ///< bytes, a power of two
    };
    struct Counters {
        std::uint64_t resolves = 0, prefetches = 0, vanished = 0;
        std::uint64_t absent_touched = 0; ///< copies to or from a page that was not there
        std::uint64_t bad_tokens = 0;     ///< given twice, or forgotten though not given
    };
    enum class Page : std::uint8_t {
        present,
        absent,
        unmapped,   ///< resolving ends with EFAULT at once, copies stop before it
        unanswered, ///< resolving ends with ETIMEDOUT at fault_limit; as a userfaultfd without
                    ///< owner
    };

    explicit SimulatedPager(const Config& config);

    /// From now on these pages count. Ranges do not overlap. Needs whole pages for `absent` to be
    /// exact: pages that are partly in it belong to it.
    void track(std::span<const std::byte> range);
    /// What becomes of tracked pages, at once.
    void set(std::span<const std::byte> range, Page page);
    void set_times(Time shortest, Time longest, double estimate_factor) noexcept;

    /// When something will happen by itself; Time::max(): never.
    [[nodiscard]] Time next() const noexcept;
    void advance(Time now);

    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    /// Resolves that somebody waits for.
    [[nodiscard]] std::size_t pending() const noexcept { return tokens_.size(); }

    [[nodiscard]] std::size_t present(const void* address, std::size_t length,
                                      Need need) noexcept override;
    [[nodiscard]] std::uint32_t resolve(std::uint64_t token, const void* address,
                                        std::size_t length, Need need,
                                        std::size_t ahead = 0) noexcept override;
    void forget(std::uint64_t token) noexcept override;
    [[nodiscard]] std::size_t take(std::span<Resolved> out) noexcept override;
    [[nodiscard]] int fd() const noexcept override { return -1; }
    [[nodiscard]] std::size_t copy_in(void* to, std::span<const std::byte> from) noexcept override;
    [[nodiscard]] std::size_t copy_out(std::span<std::byte> to, const void* from) noexcept override;
    void prefetch(const void* address, std::size_t length, Need need) noexcept override;

private:
    using PageNumber = std::uintptr_t;
    struct Job {
        std::uint64_t token = 0;
        bool told = false; ///< to take(); not for a prefetch
        PageNumber first = 0, last = 0;
        PageNumber ahead = 0; ///< the last that may come with them
    };

    [[nodiscard]] PageNumber page_of(const void* address, std::size_t offset = 0) const noexcept;
    [[nodiscard]] Page* find(PageNumber number) noexcept;
    /// The first page from `first` to `last` that is not as `is` likes; last + 1 if all are.
    template <typename Predicate>
    [[nodiscard]] PageNumber run_end(PageNumber first, PageNumber last, Predicate is) noexcept;
    [[nodiscard]] std::size_t bytes_before(PageNumber end, const void* address,
                                           std::size_t length) const noexcept;
    [[nodiscard]] std::size_t touch(const void* address, std::size_t length) noexcept;
    [[nodiscard]] Time draw_duration() noexcept;
    [[nodiscard]] Time begin(const Job& job) noexcept;
    void finish(const Job& job) noexcept;
    void bring_ahead(const Job& job) noexcept;
    void plan_vanishing() noexcept;
    void vanish() noexcept;

    Config config_;
    std::mt19937_64 random_;
    Time now_{0};
    Time vanish_at_ = Time::max();
    std::map<PageNumber, std::vector<Page>> ranges_; ///< by their first page
    std::vector<std::pair<PageNumber, std::size_t>> range_list_;
    std::size_t pages_ = 0;
    std::multimap<Time, Job> pending_;
    std::map<std::uint64_t, std::multimap<Time, Job>::iterator> tokens_;
    std::deque<Resolved> done_;
    Counters counters_;
};

} // namespace p2prdma::l2
