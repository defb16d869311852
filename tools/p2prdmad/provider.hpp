// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <linux/p2prdma_control.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <poll.h>

namespace p2prdma::daemon {

/// What a grant is to show to a client.
struct Placement {
    p2prdma_grant_kind kind = P2PRDMA_GRANT_POOL;
    std::uint64_t offset = 0; ///< as p2prdma_grant's
    std::uint64_t length = 0; ///< bytes
    bool uncached = false;
    bool read_only = false;
};

/// What was made for a client; destroyed with its last reference. Objects own what they depend on,
/// so that in whatever order a client's go, the adapter's are destroyed in the right one.
struct Object {
    Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    virtual ~Object() = default;
};

/// Memory of the pool, or the doorbell page of an event: what regions and counters may lead to.
struct Target : Object {
    Placement place;
    std::uint64_t length = 0; ///< bytes that an adapter may reach

    /// What adapters import.
    virtual int dmabuf() const noexcept = 0;
};

struct Event : Target {
    p2prdma_event_kind kind = P2PRDMA_EVENT_P2P;
    std::uint32_t page = 0;
    std::string reason; ///< why it is relayed
};

struct Region : Object {
    std::uint32_t lkey = 0;
    std::uint32_t rkey = 0;
    std::uint64_t address = 0;
};

struct CompletionQueue : Object {
    Placement place;
    std::uint64_t offset = 0; ///< of entry 0 in the grant
    std::uint32_t entries = 0;
    std::uint32_t entry_size = 0;
};

/// A work queue; of one that does not exist `entries` is 0.
struct WorkQueue {
    Placement ring;
    Placement doorbell;
    std::uint32_t entry_size = 0;
    std::uint32_t entries = 0;
    std::uint32_t max_batch = 0;
};

struct QueuePair : Object {
    std::uint32_t number = 0;
    WorkQueue send;
    WorkQueue receive;
};

struct AddressHandle : Object {
    std::uint32_t number = 0;
};

struct Counter : Object {};

/// What a client asks of a queue pair; checked against the adapter's limits by who makes it.
struct QueuePairWish {
    std::shared_ptr<CompletionQueue> send_cq;
    std::shared_ptr<CompletionQueue> receive_cq;
    std::uint32_t send_entries = 0;
    std::uint32_t receive_entries = 0;
    std::uint32_t inline_bytes = 0;
    std::uint32_t qkey = 0;
};

/// What an adapter can do for a card.
struct AdapterInfo {
    std::uint32_t caps = 0; ///< enum p2prdma_adapter_caps
    p2prdma_isolation isolation = P2PRDMA_ISOLATION_NONE;
    std::uint32_t max_send = 0;
    std::uint32_t max_receive = 0;
    std::uint32_t max_cq = 0;
    std::uint32_t max_inline = 0;
    std::uint32_t max_message = 0;
    std::uint64_t max_rdma = 0;
    std::array<std::uint8_t, 16> gid = {};
    std::string name;
    std::string no_path;      ///< why no data path of a card's own is possible; empty: one is
    std::string relay_reason; ///< why the host raises events; empty: it need not
    std::string reason;       ///< what a client is told: one of these, or of the isolation
    bool reaches_card = true; ///< its DMA gets to the card's memory
};

/// An adapter as opened for one client alone, so that doorbell pages and the protection domain are
/// never shared. All functions throw Refusal or p2prdma::Error; ENODEV once the adapter has gone.
class AdapterSession {
public:
    AdapterSession() = default;
    AdapterSession(const AdapterSession&) = delete;
    AdapterSession& operator=(const AdapterSession&) = delete;
    virtual ~AdapterSession() = default;

    /// `offset` and `length` lie within the target.
    virtual std::shared_ptr<Region> register_target(const std::shared_ptr<Target>& target,
                                                    std::uint64_t offset, std::uint64_t length,
                                                    std::uint32_t access) = 0;
    virtual std::shared_ptr<CompletionQueue> create_cq(std::uint32_t entries) = 0;
    virtual std::shared_ptr<QueuePair> create_qp(const QueuePairWish& wish) = 0;
    virtual std::shared_ptr<AddressHandle> create_ah(const std::array<std::uint8_t, 16>& gid) = 0;
    /// `offset` is a multiple of 8 with 8 bytes within the target.
    virtual std::shared_ptr<Counter> create_counter(const std::shared_ptr<QueuePair>& qp,
                                                    std::uint32_t operations,
                                                    const std::shared_ptr<Target>& target,
                                                    std::uint64_t offset) = 0;
};

/// The card and the adapters that serve its clients.
class Provider {
public:
    Provider() = default;
    Provider(const Provider&) = delete;
    Provider& operator=(const Provider&) = delete;
    virtual ~Provider() = default;

    virtual std::uint32_t adapters() const = 0;
    virtual AdapterInfo query(std::uint32_t adapter) = 0;
    virtual std::unique_ptr<AdapterSession> open(std::uint32_t adapter) = 0;
    /// Zeroed memory of the pool; `length` > 0 is rounded up to pages.
    virtual std::shared_ptr<Target> allocate(std::uint64_t length, bool uncached,
                                             bool read_only) = 0;
    /// A doorbell page for completions of `adapter`; relayed if that must be or is wished.
    virtual std::shared_ptr<Event> create_event(std::uint32_t adapter, bool relayed) = 0;

    /// Adds the descriptors whose readiness attend() is to look at.
    virtual void watch(std::vector<pollfd>& descriptors) = 0;
    /// Does what is due; returns objects whose windows were taken away since.
    virtual std::vector<const Object*> attend() = 0;
};

} // namespace p2prdma::daemon
