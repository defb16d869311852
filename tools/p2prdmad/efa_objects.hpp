// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/hca_registers.hpp"
#include "p2prdma/window.hpp"
#include "tools/p2prdmad/card_objects.hpp"
#include "tools/p2prdmad/completion_watch.hpp"
#include "tools/p2prdmad/efa_context.hpp"
#include "tools/p2prdmad/provider.hpp"
#include "tools/p2prdmad/relay.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace p2prdma::daemon {

struct EfaQueuePair;

/// Memory or an event's doorbell page, registered with an adapter.
struct EfaRegion final : Region, Resident {
    EfaRegion(std::shared_ptr<EfaContext> context, std::shared_ptr<Target> target,
              std::uint64_t offset, std::uint64_t bytes, std::uint32_t access);

    void dispose() noexcept override { region.reset(); }

    Residence residence;
    std::shared_ptr<Target> memory;
    Verbs<ibv_mr> region;
};

/// A completion queue in memory of the card.
struct EfaCompletionQueue final : CompletionQueue, Resident {
    EfaCompletionQueue(std::shared_ptr<EfaContext> context, const Card& card, std::uint32_t depth);

    void dispose() noexcept override { cq.reset(); }
    /// What the adapter writes there, for who does not take it. \throws p2prdma::Error
    CompletionWatch::Queue seen();

    Residence residence;
    Memory memory;
    Verbs<ibv_cq> cq;

private:
    std::unique_ptr<GuardedMapping> mapping_; ///< once it was needed
};

/// A counter of what is reported in completion queues, for an adapter that has no counters: the
/// daemon looks into the card's memory, and raises the event. Counts as long as its queue pair is
/// there.
struct EfaWatch final : Counter {
    EfaWatch(Relay& by, const EfaQueuePair& qp, std::uint32_t operations,
             std::shared_ptr<CardEvent> event);
    ~EfaWatch() override { relay.remove(relayed); }

    Relay& relay;
    std::vector<std::shared_ptr<CompletionQueue>> queues; ///< that it looks at
    std::vector<CompletionWatch> watches;
    Relay::Id relayed;
};

/// A completion counter that writes into memory of the card or onto a doorbell page, or that is
/// relayed. It counts for one queue pair from attach() on until that goes.
struct EfaCounter final : Counter, Resident {
    EfaCounter(std::shared_ptr<EfaContext> context, Relay& by, std::shared_ptr<Target> of,
               std::uint64_t offset);
    ~EfaCounter() override;

    void dispose() noexcept override;
    void attach(ibv_qp* qp, std::uint32_t operations);

    Residence residence;
    Relay& relay;
    std::shared_ptr<Target> target;
    Verbs<ibv_comp_cntr> counter;
    std::optional<Relay::Id> relayed;

private:
    void create(const Event* event, std::uint64_t offset);
    Count count() const;
};

/// A queue pair of scalable reliable datagrams, ready to send, with windows onto its queues.
struct EfaQueuePair final : QueuePair, Resident {
    EfaQueuePair(std::shared_ptr<EfaContext> context, const Card& card,
                 const HcaRegisters& registers, const QueuePairWish& wish);
    ~EfaQueuePair() override;

    void dispose() noexcept override;
    /// Whether a window was taken away.
    bool lost() const noexcept;

    Residence residence;
    std::shared_ptr<CompletionQueue> send_cq;
    std::shared_ptr<CompletionQueue> receive_cq;
    /// They cannot be destroyed while they are attached, so they stay until the queue pair goes.
    std::vector<std::shared_ptr<Counter>> counters;
    std::uint32_t watched = 0; ///< operations that an EfaWatch counts
    Verbs<ibv_qp> qp;
    /// Closed before the queue pair goes: its pages may then be another's at once.
    std::vector<Window> windows;

private:
    void create(const QueuePairWish& wish);
    void make_ready(std::uint32_t qkey);
    void open_windows(const Card& card, const HcaRegisters& registers, bool with_receive);
    Placement open_window(const Card& card, const HcaRange& range, Access access);
};

/// An address handle.
struct EfaAddressHandle final : AddressHandle, Resident {
    EfaAddressHandle(std::shared_ptr<EfaContext> context, const std::array<std::uint8_t, 16>& gid);

    void dispose() noexcept override { handle.reset(); }

    Residence residence;
    Verbs<ibv_ah> handle;
};

} // namespace p2prdma::daemon
