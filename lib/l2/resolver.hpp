// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/pager.hpp"
#include "lib/l2/port.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace p2prdma::l2 {

/// Brings pages, on threads of its own.
///
/// A thread that waits for a page, such as of a userfaultfd that nobody answers, cannot be got out
/// of there. So others are started, up to a bound, while some have been at it for long; what was
/// not brought within the limit ends with ETIMEDOUT though its thread still waits; and the
/// destructor waits for none: a thread that still waits then is left alone with what it needs, and
/// ends when its page comes or the process ends.
///
/// Thread-safety: all calls by one thread at a time.
class Resolver {
public:
    struct Config {
        unsigned threads = 2;      ///< while none is stuck; at least 1
        unsigned max_threads = 16; ///< at least threads
        Time fault_limit = std::chrono::seconds(5);
        Time stuck_after = std::chrono::milliseconds(2); ///< then another thread may be started
        std::size_t max_prefetches = 1024;               ///< waiting; more are dropped
    };

    /// \throws Error no thread, or no eventfd can be had
    explicit Resolver(const Config& config);
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    ~Resolver();

    /// As the functions of Pager of the same names. Waiting requests are bounded by the caller, who
    /// gives each token once at a time.
    [[nodiscard]] std::uint32_t resolve(std::uint64_t token, const void* address,
                                        std::size_t length, Pager::Need need,
                                        std::size_t ahead = 0) noexcept;
    void prefetch(const void* address, std::size_t length, Pager::Need need) noexcept;
    void forget(std::uint64_t token) noexcept;
    [[nodiscard]] std::size_t take(std::span<Pager::Resolved> out) noexcept;
    [[nodiscard]] int fd() const noexcept;

    struct Counters {
        std::uint64_t resolved = 0, failed = 0, timed_out = 0, prefetches_dropped = 0;
        unsigned threads = 0; ///< now, stuck ones included
    };
    [[nodiscard]] Counters counters() const noexcept;

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

} // namespace p2prdma::l2
