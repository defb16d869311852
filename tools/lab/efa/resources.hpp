// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/admin_result.hpp"
#include "tools/lab/efa/completion_queue.hpp"
#include "tools/lab/efa/context.hpp"
#include "tools/lab/efa/doorbells.hpp"
#include "tools/lab/efa/event_counter.hpp"
#include "tools/lab/efa/event_queue.hpp"
#include "tools/lab/efa/page_allocator.hpp"
#include "tools/lab/efa/queue_pair.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

namespace lab::efa {

/// The objects that software made on an adapter, and the admin commands that make, change and
/// destroy them. Nothing that another object still needs is destroyed (resource_busy).
class Resources {
public:
    /// @param vectors  MSI-X vectors that the adapter has
    Resources(Context& context, unsigned vectors, EventQueue::Raise raise);
    /// Closes all queues.
    ~Resources();
    Resources(const Resources&) = delete;
    Resources& operator=(const Resources&) = delete;

    AdminResult alloc_pd();
    AdminResult dealloc_pd(const admin::Number& command);
    AdminResult alloc_uar();
    AdminResult dealloc_uar(const admin::Number& command);
    AdminResult create_ah(const admin::CreateAh& command);
    AdminResult destroy_ah(const admin::DestroyAh& command);
    AdminResult create_eq(const admin::CreateEq& command);
    AdminResult destroy_eq(const admin::Number& command);
    AdminResult create_cq(const admin::CreateCq& command);
    AdminResult destroy_cq(const admin::Number& command);
    AdminResult create_qp(const admin::CreateQp& command);
    AdminResult modify_qp(const admin::ModifyQp& command);
    AdminResult query_qp(const admin::QpHandle& command);
    AdminResult destroy_qp(const admin::QpHandle& command);
    /// `flags` is the submission's: where the page list is.
    void register_mr(const admin::RegMr& command, std::uint8_t flags, AdminDone done);
    AdminResult deregister_mr(const admin::DeregMr& command);
    AdminResult create_counter(const admin::CreateEventCounter& command);
    AdminResult destroy_counter(const admin::CounterHandle& command);
    AdminResult modify_counter(const admin::ModifyEventCounter& command);
    AdminResult attach_counter(const admin::AttachEventCounter& command);
    AdminResult detach_counter(const admin::AttachEventCounter& command);

    /// A write to the doorbell BAR. False if there is no doorbell at that place.
    bool ring_doorbell(std::uint32_t offset, std::uint32_t value);
    void arm_event_queue(std::uint16_t eqn);
    /// The queue pair of that number, or null.
    QueuePair* find_qp(std::uint16_t number) const;
    /// True if all these bytes of queue memory belong to one queue pair's ring.
    bool owns_queue_memory(std::uint64_t offset, std::uint64_t length) const;
    std::size_t queue_pairs() const { return qps_.size(); }

private:
    struct Cq {
        std::shared_ptr<CompletionQueue> queue;
        std::uint32_t doorbell;
        std::optional<std::uint16_t> eqn;
    };
    struct Eq {
        std::shared_ptr<EventQueue> queue;
        unsigned users = 0; ///< completion queues
    };
    struct Qp {
        std::shared_ptr<QueuePair> pair;
        std::uint32_t send_doorbell = 0;
        std::uint32_t receive_doorbell = 0;
        std::optional<std::uint32_t> llq_page;
    };

    bool has_pd(std::uint16_t pd) const { return pds_.contains(pd); }
    bool valid(const admin::CreateCq& command) const;
    bool valid(const admin::CreateEq& command) const;
    bool valid(const admin::CreateQp& command) const;
    std::optional<QueuePair::Config> configure(const admin::CreateQp& command, Qp& entry);
    bool add_doorbells(std::uint16_t uar, Qp& entry);
    void release(const Qp& entry);
    std::uint16_t qp_number(std::uint32_t index);
    std::shared_ptr<EventCounter> find_counter(std::uint32_t handle) const;
    void add_region(const MemoryRegion::Layout& layout, std::vector<std::uint64_t> pages,
                    const AdminDone& done);

    Context& context_;
    unsigned vectors_;
    EventQueue::Raise raise_;
    Doorbells doorbells_;
    PageAllocator llq_pages_;
    IdPool pd_ids_{Limits::max_pd};
    IdPool cq_ids_{Limits::max_cq};
    IdPool eq_ids_{Limits::max_eq};
    IdPool qp_ids_{Limits::max_qp};
    IdPool counter_ids_{Limits::max_event_counters};
    std::map<std::uint16_t, unsigned> pds_; ///< users by number: regions, handles, queue pairs
    std::map<std::uint16_t, Cq> cqs_;
    std::map<std::uint16_t, Eq> eqs_;
    std::map<std::uint32_t, Qp> qps_; ///< by number, which is the handle too
    std::map<std::uint32_t, std::shared_ptr<EventCounter>> counters_; ///< by handle
    std::array<std::uint8_t, Limits::max_qp> qp_generations_{};
};

} // namespace lab::efa
