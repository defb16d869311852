// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/isolation.hpp"
#include "p2prdma/local_card.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace p2prdma::direct {

class Link;

/// An address of an adapter on its network.
using Gid = std::array<std::uint8_t, 16>;

/// An adapter of the host that this card may drive.
struct AdapterInfo {
    std::uint32_t number = 0; ///< by which other objects name it
    std::string name;         ///< as the host calls it
    Gid gid = {};
    bool rdma_read = false;        ///< RDMA read
    bool rdma_write = false;       ///< RDMA write
    bool cq_in_card = false;       ///< completion queues in card memory: without, nothing works
    bool counters = false;         ///< Counter works
    bool p2p_events = false;       ///< events need no host
    std::uint32_t max_send = 0;    ///< entries of a send queue
    std::uint32_t max_receive = 0; ///< entries of a receive queue
    std::uint32_t max_cq = 0;      ///< entries of a completion queue
    std::uint32_t max_inline = 0;  ///< bytes of inline data
    std::uint32_t max_message = 0; ///< bytes of a send
    std::uint64_t max_rdma = 0;    ///< bytes of an RDMA operation
    Isolation::Level isolation = Isolation::Level::none;
    std::string reason; ///< of the isolation; or why there is no data path, or events are relayed
};

/// How Session::open() speaks to the host.
struct SessionOptions {
    std::string name;                          ///< of the program, for the host's log
    std::chrono::milliseconds timeout{10'000}; ///< of each call of the host; up to 60 s
};

/// What a program on the card's own machine does through the host: a client of the host's daemon.
/// All objects are made through one and keep what they need of it, so that they may be destroyed in
/// any order. Copyable: copies are the same session.
///
/// Thread-safety: sessions and set-up may be used by several threads at once.
class P2PRDMA_API Session final {
public:
    /// \throws Error host_not_serving, host_gone, host_timeout, host_mismatch, host_busy, card_gone
    explicit Session(LocalCard card, const SessionOptions& options = {});
    /// Opens card `number` of this machine. \throws Error as LocalCard::open() and above
    [[nodiscard]] static Session open(unsigned number = 0, const SessionOptions& options = {});

    /// The host's name.
    [[nodiscard]] const std::string& host() const noexcept { return host_; }
    /// Bytes of card memory that this session may have at most.
    [[nodiscard]] std::uint64_t max_memory() const noexcept { return max_memory_; }
    /// Queue pairs that it may have at most.
    [[nodiscard]] std::uint32_t max_queue_pairs() const noexcept { return max_queue_pairs_; }
    /// The adapters, by number. \throws Error
    [[nodiscard]] std::vector<AdapterInfo> adapters() const;

    [[nodiscard]] const LocalCard& card() const noexcept;
    /// False once host, daemon, card or the adapter of a queue pair are gone: nothing completes any
    /// more, and memory of the session may raise SIGBUS when it is touched.
    [[nodiscard]] bool alive() const noexcept;

    /// For the objects of this library.
    [[nodiscard]] const std::shared_ptr<const Link>& link() const noexcept { return link_; }

private:
    [[nodiscard]] AdapterInfo query(std::uint32_t number) const;

    std::shared_ptr<const Link> link_;
    std::string host_;
    std::uint64_t max_memory_ = 0;
    std::uint32_t max_queue_pairs_ = 0;
    std::uint32_t adapters_ = 0;
};

} // namespace p2prdma::direct
