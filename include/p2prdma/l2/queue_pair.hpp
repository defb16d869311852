// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/completion_queue.hpp"
#include "p2prdma/l2/region.hpp"
#include "p2prdma/l2/request.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

namespace p2prdma::l2 {

/// What a QueuePair is made with; both ends choose for themselves.
struct QueuePairOptions {
    std::uint32_t send_entries = 128;
    std::uint32_t receive_entries = 128;
    std::uint8_t max_reads = 16;  ///< reads and atomics under way, each way
    std::uint8_t retries = 7;     ///< timeouts in a row without a sign from the peer; it is not
                                  ///< given up before DeviceOptions::dead_after
    std::uint8_t rnr_retries = 7; ///< 7: for ever
};

constexpr std::size_t max_private_data = 128;

/// One end of a connection: reliable, in order, exactly once. Move-only; on destruction it is
/// disconnected, which the peer is told, and what was under way ends as flushed.
class P2PRDMA_API QueuePair final {
public:
    enum class Phase : std::uint8_t { connecting, connected, closing, closed, error };

    /// Connects, and waits for the answer.
    /// \param private_data  at most max_private_data bytes, given to the listener
    /// \throws Error  no answer until then; refused, with the peer's reason, or as it says that it
    ///                has no secret, or another one: that anybody could say, so it is believed only
    ///                if nothing else has come until then
    static QueuePair connect(const ProtectionDomain& domain, const MacAddress& peer,
                             std::uint32_t service, const CompletionQueue& send_queue,
                             const CompletionQueue& receive_queue,
                             std::chrono::steady_clock::time_point until,
                             const QueuePairOptions& options = {},
                             std::span<const std::byte> private_data = {});

    /// Takes over one request, as a whole. no_buffer_space: the send queue is full, or the
    /// completion queue of what was not polled; not_connected: the queue pair is in error or
    /// closed; invalid_argument: the request is none. Never throws, never waits; allocates only
    /// while more queue pairs are busy than ever before.
    [[nodiscard]] std::errc post_send(const SendRequest& request) noexcept;
    /// Several, in order, with one look at the wire. \param taken  how many were
    [[nodiscard]] std::errc post_send(std::span<const SendRequest> requests,
                                      std::size_t& taken) noexcept;
    [[nodiscard]] std::errc post_receive(const ReceiveRequest& request) noexcept;

    [[nodiscard]] std::uint32_t number() const noexcept;
    [[nodiscard]] MacAddress peer() const noexcept;
    [[nodiscard]] Phase phase() const noexcept;
    [[nodiscard]] const std::vector<std::byte>& peer_data() const noexcept; ///< its private data
    [[nodiscard]] bool fault_delay() const noexcept;            ///< agreed on; else RNR rules
    [[nodiscard]] std::uint32_t payload_limit() const noexcept; ///< bytes of a message in one frame

    /// Disconnects in order: what was posted is carried out first, as long as `until` allows.
    void close(std::chrono::steady_clock::time_point until) noexcept;

    QueuePair(QueuePair&&) noexcept;
    QueuePair& operator=(QueuePair&&) noexcept;
    ~QueuePair();

    struct State;
    explicit QueuePair(std::unique_ptr<State> state) noexcept;

private:
    std::unique_ptr<State> state_;
};

/// Waits for connections to a service number, 1 to 2^32 - 1. Move-only.
class P2PRDMA_API Listener final {
public:
    /// \throws Error  the number is taken
    Listener(const Device& device, std::uint32_t service, unsigned backlog = 64);
    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;
    ~Listener();

    /// Somebody who wants to connect. Dropped unanswered, it is refused.
    struct P2PRDMA_API Request {
        MacAddress peer;
        std::vector<std::byte> private_data;
        struct State;
        std::shared_ptr<State> state;
    };

    /// The next, or nothing if there is none until then.
    [[nodiscard]] std::optional<Request> wait(std::chrono::steady_clock::time_point until);
    /// Readable while a request waits.
    [[nodiscard]] int fd() const noexcept;

    /// \throws Error  it has gone meanwhile
    QueuePair accept(const Request& request, const ProtectionDomain& domain,
                     const CompletionQueue& send_queue, const CompletionQueue& receive_queue,
                     const QueuePairOptions& options = {},
                     std::span<const std::byte> private_data = {});
    void reject(const Request& request, std::span<const std::byte> private_data = {}) noexcept;

    struct State;

private:
    std::unique_ptr<State> state_;
};

} // namespace p2prdma::l2
