// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma::l2 {

/// Sees to it that pages of implicit regions are there, so that the engine never waits for one.
///
/// Thread-safety: one thread at a time; resolving goes on behind it.
class Pager {
public:
    enum class Need : std::uint8_t { reading, writing };

    /// A resolve() that has ended. error: 0, EFAULT (not mapped, or not so), ETIMEDOUT, EIO.
    struct Resolved {
        std::uint64_t token = 0;
        int error = 0;
    };

    virtual ~Pager() = default;
    Pager() = default;
    Pager(const Pager&) = delete;
    Pager& operator=(const Pager&) = delete;

    /// How many bytes from `address` on can be accessed now without a fault; at most `length`.
    /// Cheap where it was asked lately.
    [[nodiscard]] virtual std::size_t present(const void* address, std::size_t length,
                                              Need need) noexcept = 0;
    /// Has the pages brought; take() tells when. Pages may have gone again by then.
    /// \param ahead  so many bytes behind these are needed next: brought after that, if it is quick
    /// \return  an estimate, in microseconds, of how long that takes
    [[nodiscard]] virtual std::uint32_t resolve(std::uint64_t token, const void* address,
                                                std::size_t length, Need need,
                                                std::size_t ahead = 0) noexcept = 0;
    /// Nobody waits for it any more; its token does not come out of take() after this.
    virtual void forget(std::uint64_t token) noexcept = 0;
    [[nodiscard]] virtual std::size_t take(std::span<Resolved> out) noexcept = 0;
    /// Readable while take() has something; -1: there is none (simulation).
    [[nodiscard]] virtual int fd() const noexcept = 0;

    /// Copies to, or from, memory that is or was present, without a signal whatever has become of
    /// it. Returns how many bytes: less if a page was not mapped any more, or has gone and does not
    /// come at once. Resolve what was not copied, which tells, and copy again.
    [[nodiscard]] virtual std::size_t copy_in(void* to,
                                              std::span<const std::byte> from) noexcept = 0;
    [[nodiscard]] virtual std::size_t copy_out(std::span<std::byte> to,
                                               const void* from) noexcept = 0;
    /// Brings pages some time; nobody is told.
    virtual void prefetch(const void* address, std::size_t length, Need need) noexcept = 0;
};

} // namespace p2prdma::l2
