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
/// A page may come late, or never, such as of a userfaultfd that nobody answers. So other threads
/// are started, up to a bound, while some have been at it for long. What was not brought within the
/// limit ends with ETIMEDOUT, and its thread is got out of there, so that no number of such pages
/// occupies all of them for longer; but where a program has put its own handlers of SIGSEGV and
/// SIGBUS in place the kernel brings the pages, and a thread waits there as long as that takes. The
/// destructor does not wait for those: such a thread is left alone with what it needs, and ends
/// when its page comes or the process ends.
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
        unsigned threads = 0;    ///< now, stuck ones included
        std::size_t waiting = 0; ///< now, with some that were forgotten
    };
    [[nodiscard]] Counters counters() const noexcept;

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

} // namespace p2prdma::l2
