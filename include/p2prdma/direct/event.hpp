// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/direct/session.hpp"
#include "p2prdma/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace p2prdma::direct {

class Target;

/// How an Event::wait() ended.
enum class Wakeup : std::uint8_t {
    raised,  ///< the count has changed
    timeout, ///< the deadline came first
    gone,    ///< Session::alive() has become false: nothing will come
};

/// How an Event is raised.
struct EventOptions {
    bool relayed = false; ///< by the host, even where the adapter reaches the card by itself
};

/// A doorbell page of the card: raised by an adapter's counter (Counter), by a peer's RDMA write to
/// a Region of it, or, relayed, by the host. Move-only.
///
/// Raises coalesce on their way to this CPU, but none is lost: count() tells how many there were.
///
/// Thread-safety: one thread waits at a time; the rest is free.
class P2PRDMA_API Event final {
public:
    using Clock = std::chrono::steady_clock;

    /// \param adapter  whose completions are to raise it \throws Error
    Event(const Session& session, std::uint32_t adapter, EventOptions options = {});

    /// True if adapter and peers raise it without the host; else reason() says why not.
    [[nodiscard]] bool is_p2p() const noexcept { return p2p_; }
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

    /// How often it was raised, modulo 2^32.
    [[nodiscard]] std::uint32_t count() const noexcept;
    /// What was written last to the lower half of the page: of a Counter the number of completions
    /// without error. Failures raise the event, too, but leave this as it is. If a relayed event's
    /// queue goes round more often than the host looks, the number is too small by what it missed.
    [[nodiscard]] std::uint64_t value() const noexcept;
    /// Sleeps until count() is other than `seen`, which may be so at once. A raise after count()
    /// was read is never missed, however late this is called.
    [[nodiscard]] Wakeup wait(std::uint32_t seen, Clock::time_point deadline) const noexcept;
    /// Sleeps until `done()`, which is asked at once and after each raise, and misses none of them.
    /// Wakeup::raised: it is done.
    template <class Done>
    [[nodiscard]] Wakeup wait_until(Clock::time_point deadline, Done done) const
    {
        auto wakeup = Wakeup::raised;
        for (auto seen = count(); !done(); seen = count()) // count() first: see wait()
            if (wakeup = wait(seen, deadline); wakeup != Wakeup::raised)
                break;
        return wakeup;
    }
    /// An eventfd that becomes readable with each raise, for an own loop: read it, then look at
    /// count(). Not beside wait().
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// For the objects of this library.
    [[nodiscard]] const std::shared_ptr<const Target>& target() const noexcept { return target_; }

private:
    void drain() const noexcept;

    std::shared_ptr<const Target> target_;
    UniqueFd fd_;
    std::string reason_;
    bool p2p_ = false;
};

} // namespace p2prdma::direct
