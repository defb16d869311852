// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/resources.hpp"

#include "tools/lab/efa/page_list.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

namespace lab::efa {

namespace {

using admin::Status;

static_assert(std::has_single_bit(Limits::max_qp), "queue pair numbers have their index below");

constexpr std::uint32_t qp_index_mask = Limits::max_qp - 1;

bool power_of_two_up_to(std::uint64_t value, std::uint64_t limit)
{
    return std::has_single_bit(value) && value <= limit;
}

AdminResult with_number(std::uint16_t number)
{
    return AdminResult::with(admin::Number{.number = number, .reserved = 0});
}

std::uint32_t pages_for(std::uint32_t bytes)
{
    return std::max(1u, (bytes + PageAllocator::page_size - 1) / PageAllocator::page_size);
}

bool send_ring_ok(const admin::CreateQp& command)
{
    if (command.sq_ring_size == 0)
        return command.sq_depth == 0;
    return power_of_two_up_to(command.sq_depth, Limits::max_sq_depth) &&
           command.sq_ring_size <= Limits::max_llq_size &&
           (command.sq_ring_size == command.sq_depth * 64 ||
            command.sq_ring_size == command.sq_depth * 128);
}

bool receive_ring_ok(const admin::CreateQp& command)
{
    constexpr std::uint32_t size = sizeof(ReceiveDescriptor);
    if (command.rq_ring_size == 0)
        return true;
    return command.rq_ring_size % size == 0 &&
           power_of_two_up_to(command.rq_ring_size / size, Limits::max_rq_depth);
}

} // namespace

Resources::Resources(Context& context, unsigned vectors, EventQueue::Raise raise)
    : context_(context), vectors_(vectors), raise_(std::move(raise)),
      llq_pages_(static_cast<std::uint32_t>(context.queue_memory.size() / PageAllocator::page_size))
{
}

Resources::~Resources()
{
    for (auto& [number, qp] : qps_)
        qp.pair->close();
    for (auto& [number, cq] : cqs_)
        cq.queue->close();
    for (auto& [number, eq] : eqs_)
        eq.queue->close();
    context_.regions.clear();
    context_.handles.clear();
}

// Protection domains, doorbell pages, address handles

AdminResult Resources::alloc_pd()
{
    auto id = pd_ids_.take();
    if (!id)
        return Status::resource_allocation_failure;
    auto pd = static_cast<std::uint16_t>(*id);
    pds_.emplace(pd, 0);
    return with_number(pd);
}

AdminResult Resources::dealloc_pd(const admin::Number& command)
{
    auto it = pds_.find(command.number);
    if (it == pds_.end())
        return Status::illegal_parameter;
    if (it->second != 0)
        return Status::resource_busy;
    pds_.erase(it);
    pd_ids_.give(command.number);
    return Status::success;
}

AdminResult Resources::alloc_uar()
{
    auto page = doorbells_.allocate_page();
    return page ? with_number(*page) : AdminResult(Status::resource_allocation_failure);
}

AdminResult Resources::dealloc_uar(const admin::Number& command)
{
    if (!doorbells_.has_page(command.number))
        return Status::illegal_parameter;
    if (doorbells_.page_in_use(command.number))
        return Status::resource_busy;
    doorbells_.free_page(command.number);
    return Status::success;
}

AdminResult Resources::create_ah(const admin::CreateAh& command)
{
    if (!has_pd(command.pd))
        return Status::illegal_parameter;
    if (context_.handles.find(command.pd, command.destination) != unknown_ah)
        return Status::illegal_parameter; // the driver asks once per destination
    auto handle = context_.handles.create(command.pd, command.destination);
    if (!handle)
        return Status::resource_allocation_failure;
    ++pds_.at(command.pd);
    return with_number(*handle);
}

AdminResult Resources::destroy_ah(const admin::DestroyAh& command)
{
    if (!context_.handles.destroy(command.ah, command.pd))
        return Status::illegal_parameter;
    --pds_.at(command.pd);
    return Status::success;
}

// Event queues

bool Resources::valid(const admin::CreateEq& command) const
{
    std::size_t words = command.caps & admin::CreateEq::caps_entry_words_mask;
    return power_of_two_up_to(command.depth, Limits::max_eq_depth) && command.vector < vectors_ &&
           words * 4 == sizeof(EventEntry) &&
           (command.event_mask & ~admin::CreateEq::event_completion) == 0;
}

AdminResult Resources::create_eq(const admin::CreateEq& command)
{
    if (!valid(command))
        return Status::illegal_parameter;
    auto id = eq_ids_.take();
    if (!id)
        return Status::resource_allocation_failure;
    auto number = static_cast<std::uint16_t>(*id);
    EventQueue::Ring ring{.base = command.base, .depth = command.depth, .vector = command.vector};
    eqs_[number].queue =
        std::make_shared<EventQueue>(context_.dma, context_.counters, ring, raise_);
    return with_number(number);
}

AdminResult Resources::destroy_eq(const admin::Number& command)
{
    auto it = eqs_.find(command.number);
    if (it == eqs_.end())
        return Status::illegal_parameter;
    if (it->second.users != 0)
        return Status::resource_busy;
    it->second.queue->close();
    eqs_.erase(it);
    eq_ids_.give(command.number);
    return Status::success;
}

void Resources::arm_event_queue(std::uint16_t eqn)
{
    if (auto it = eqs_.find(eqn); it != eqs_.end())
        it->second.queue->arm();
}

// Completion queues

bool Resources::valid(const admin::CreateCq& command) const
{
    using Command = admin::CreateCq;
    unsigned words = command.caps2 & Command::caps2_entry_words_mask;
    bool source = (command.caps2 & Command::caps2_set_source_address) != 0;
    bool interrupt = (command.caps1 & Command::caps1_interrupt) != 0;
    return (command.caps1 & ~Command::caps1_interrupt) == 0 &&
           (command.caps2 & Command::caps2_req_id_64) == 0 &&
           (words == 8 || (words == 4 && !source)) && command.sub_cqs == 1 &&
           power_of_two_up_to(command.depth, Limits::max_cq_depth) &&
           doorbells_.has_page(command.uar) && (!interrupt || eqs_.contains(command.eqn));
}

AdminResult Resources::create_cq(const admin::CreateCq& command)
{
    using Command = admin::CreateCq;
    if (!valid(command))
        return Status::illegal_parameter;
    auto id = cq_ids_.take();
    if (!id)
        return Status::resource_allocation_failure;
    auto number = static_cast<std::uint16_t>(*id);
    Eq* events = (command.caps1 & Command::caps1_interrupt) != 0 ? &eqs_.at(command.eqn) : nullptr;
    CompletionQueue::Ring ring{.base = command.base,
                               .depth = command.depth,
                               .entry_size = (command.caps2 & Command::caps2_entry_words_mask) * 4u,
                               .set_source_address =
                                   (command.caps2 & Command::caps2_set_source_address) != 0};
    auto queue = std::make_shared<CompletionQueue>(context_.dma, context_.counters, number, ring,
                                                   events ? events->queue : nullptr);
    auto doorbell = doorbells_.add(command.uar, [queue](std::uint32_t v) { queue->ring(v); });
    if (!doorbell) {
        cq_ids_.give(number);
        return Status::resource_allocation_failure;
    }
    if (events)
        ++events->users;
    cqs_[number] = {queue, *doorbell, events ? std::optional(command.eqn) : std::nullopt};
    return AdminResult::with(
        admin::CreateCqResponse{.cqn = number,
                                .actual_depth = command.depth,
                                .doorbell = *doorbell,
                                .flags = admin::CreateCqResponse::flag_doorbell_valid});
}

AdminResult Resources::destroy_cq(const admin::Number& command)
{
    auto it = cqs_.find(command.number);
    if (it == cqs_.end())
        return Status::illegal_parameter;
    Cq& cq = it->second;
    if (cq.queue->users != 0)
        return Status::resource_busy;
    cq.queue->close();
    doorbells_.remove(cq.doorbell);
    if (cq.eqn)
        --eqs_.at(*cq.eqn).users;
    cqs_.erase(it);
    cq_ids_.give(command.number);
    return Status::success;
}

// Queue pairs

bool Resources::valid(const admin::CreateQp& command) const
{
    using Command = admin::CreateQp;
    bool srd = command.qp_type == admin::qp_type_srd;
    bool unsolicited = (command.flags & Command::flag_unsolicited_write_recv) != 0;
    return (srd || command.qp_type == admin::qp_type_ud) && (srd || !unsolicited) &&
           (command.flags & ~Command::flag_unsolicited_write_recv) == 0 && has_pd(command.pd) &&
           doorbells_.has_page(command.uar) && command.send_cq <= Limits::max_cq &&
           command.receive_cq <= Limits::max_cq &&
           cqs_.contains(static_cast<std::uint16_t>(command.send_cq)) &&
           cqs_.contains(static_cast<std::uint16_t>(command.receive_cq)) && send_ring_ok(command) &&
           receive_ring_ok(command);
}

std::uint16_t Resources::qp_number(std::uint32_t index)
{
    return static_cast<std::uint16_t>(++qp_generations_[index] * Limits::max_qp + index);
}

std::optional<QueuePair::Config> Resources::configure(const admin::CreateQp& command, Qp& entry)
{
    entry.llq_page = llq_pages_.take(pages_for(command.sq_ring_size));
    if (!entry.llq_page)
        return std::nullopt;
    return QueuePair::Config{
        .number = 0,
        .pd = command.pd,
        .reliable = command.qp_type == admin::qp_type_srd,
        .unsolicited_write_recv =
            (command.flags & admin::CreateQp::flag_unsolicited_write_recv) != 0,
        .send_ring = {.offset = *entry.llq_page * PageAllocator::page_size,
                      .depth = command.sq_depth,
                      .entry_size =
                          command.sq_depth == 0 ? 0 : command.sq_ring_size / command.sq_depth},
        .receive_ring = {.base = command.rq_base,
                         .entries = command.rq_ring_size /
                                    static_cast<std::uint32_t>(sizeof(ReceiveDescriptor))},
        .send_cq = cqs_.at(static_cast<std::uint16_t>(command.send_cq)).queue,
        .receive_cq = cqs_.at(static_cast<std::uint16_t>(command.receive_cq)).queue};
}

bool Resources::add_doorbells(std::uint16_t uar, Qp& entry)
{
    auto send = doorbells_.add(uar, [qp = entry.pair.get()](std::uint32_t value) {
        qp->send_doorbell(static_cast<std::uint16_t>(value));
    });
    if (!send)
        return false;
    auto receive = doorbells_.add(uar, [qp = entry.pair.get()](std::uint32_t value) {
        qp->receive_doorbell(static_cast<std::uint16_t>(value));
    });
    if (!receive) {
        doorbells_.remove(*send);
        return false;
    }
    entry.send_doorbell = *send;
    entry.receive_doorbell = *receive;
    return true;
}

AdminResult Resources::create_qp(const admin::CreateQp& command)
{
    if (!valid(command))
        return Status::illegal_parameter;
    auto index = qp_ids_.take();
    if (!index)
        return Status::resource_allocation_failure;
    Qp entry;
    auto config = configure(command, entry);
    if (config) {
        config->number = qp_number(*index);
        entry.pair = std::make_shared<QueuePair>(context_, *config);
    }
    if (!config || !add_doorbells(command.uar, entry)) {
        if (entry.llq_page)
            llq_pages_.give(*entry.llq_page);
        qp_ids_.give(*index);
        return Status::resource_allocation_failure;
    }
    ++pds_.at(command.pd);
    qps_[config->number] = entry;
    return AdminResult::with(admin::CreateQpResponse{.handle = config->number,
                                                     .qp_num = config->number,
                                                     .reserved = 0,
                                                     .send_sub_cq = 0,
                                                     .receive_sub_cq = 0,
                                                     .sq_doorbell = entry.send_doorbell,
                                                     .rq_doorbell = entry.receive_doorbell,
                                                     .llq_offset = config->send_ring.offset});
}

AdminResult Resources::modify_qp(const admin::ModifyQp& command)
{
    auto it = qps_.find(command.handle);
    return it == qps_.end() ? Status::illegal_parameter : it->second.pair->modify(command);
}

AdminResult Resources::query_qp(const admin::QpHandle& command)
{
    auto it = qps_.find(command.handle);
    return it == qps_.end() ? AdminResult(Status::illegal_parameter)
                            : AdminResult::with(it->second.pair->query());
}

AdminResult Resources::destroy_qp(const admin::QpHandle& command)
{
    auto it = qps_.find(command.handle);
    if (it == qps_.end())
        return Status::illegal_parameter;
    auto& entry = it->second;
    entry.pair->close();
    entry.pair->counters().detach_all();
    doorbells_.remove(entry.send_doorbell);
    doorbells_.remove(entry.receive_doorbell);
    llq_pages_.give(*entry.llq_page);
    --pds_.at(entry.pair->pd());
    qps_.erase(it);
    qp_ids_.give(command.handle & qp_index_mask);
    return Status::success;
}

QueuePair* Resources::find_qp(std::uint16_t number) const
{
    auto it = qps_.find(number);
    return it == qps_.end() ? nullptr : it->second.pair.get();
}

bool Resources::ring_doorbell(std::uint32_t offset, std::uint32_t value)
{
    ++context_.counters.doorbells;
    bool exists = doorbells_.ring(offset, value);
    context_.counters.bad_doorbells += exists ? 0 : 1;
    return exists;
}

bool Resources::owns_queue_memory(std::uint64_t offset, std::uint64_t length) const
{
    return std::any_of(qps_.begin(), qps_.end(), [&](const auto& entry) {
        const SendQueue::Ring& ring = entry.second.pair->send_queue().ring();
        std::uint64_t size = std::uint64_t{ring.depth} * ring.entry_size;
        return offset >= ring.offset && offset - ring.offset <= size &&
               length <= size - (offset - ring.offset);
    });
}

// Memory regions

void Resources::register_mr(const admin::RegMr& command, std::uint8_t flags, AdminDone done)
{
    MemoryRegion::Layout layout{
        .pd = command.pd,
        .access = command.permissions,
        .page_shift = static_cast<std::uint8_t>(command.flags & admin::RegMr::flag_page_shift_mask),
        .iova = command.iova,
        .length = command.length};
    std::uint64_t count = MemoryRegion::page_count(layout);
    bool listed = (flags & admin::SubmissionHead::ctrl_data) != 0;
    bool good = has_pd(command.pd) && count != 0 && count <= Limits::max_mr_pages &&
                (command.flags & admin::RegMr::flag_physical) == 0 &&
                (command.permissions & ~Access::all) == 0 &&
                (listed || count <= command.inline_pages.size());
    if (!good)
        return done(Status::illegal_parameter);
    if (!listed) {
        auto inline_pages = command.inline_pages;
        auto first = inline_pages.begin();
        return add_region(layout, {first, first + static_cast<long>(count)}, done);
    }
    auto fetch = (flags & admin::SubmissionHead::ctrl_data_indirect) != 0 ? fetch_indirect_page_list
                                                                          : fetch_page_list;
    fetch(context_.dma, command.page_list, count,
          [this, layout, done = std::move(done)](int error, std::vector<std::uint64_t> pages) {
              if (error != 0)
                  done(error == EINVAL ? Status::illegal_parameter : Status::unknown_error);
              else
                  add_region(layout, std::move(pages), done);
          });
}

void Resources::add_region(const MemoryRegion::Layout& layout, std::vector<std::uint64_t> pages,
                           const AdminDone& done)
{
    std::uint64_t in_page = (std::uint64_t{1} << layout.page_shift) - 1;
    bool aligned = std::none_of(pages.begin(), pages.end(),
                                [&](std::uint64_t page) { return (page & in_page) != 0; });
    // The domain may have gone while the list was fetched.
    if (!aligned || !has_pd(layout.pd))
        return done(Status::illegal_parameter);
    auto region = context_.regions.add(layout, std::move(pages));
    if (!region)
        return done(Status::resource_allocation_failure);
    ++pds_.at(layout.pd);
    auto keys = MemoryRegionTable::keys(*region);
    done(AdminResult::with(
        admin::RegMrResponse{.lkey = keys.local, .rkey = keys.remote, .interconnect = {}}));
}

AdminResult Resources::deregister_mr(const admin::DeregMr& command)
{
    auto region = context_.regions.remove(command.lkey);
    if (!region)
        return Status::illegal_parameter;
    --pds_.at(region->layout().pd);
    return Status::success;
}

// Event counters

AdminResult Resources::create_counter(const admin::CreateEventCounter& command)
{
    if (!doorbells_.has_page(command.uar) || command.address % sizeof(std::uint64_t) != 0)
        return Status::illegal_parameter;
    auto handle = counter_ids_.take();
    if (!handle)
        return Status::resource_allocation_failure;
    std::uint64_t address = command.address; // a packed member: no reference may be bound to it
    counters_[*handle] = std::make_shared<EventCounter>(context_.dma, address);
    return AdminResult::with(admin::CreateEventCounterResponse{.handle = *handle, .reserved = 0});
}

std::shared_ptr<EventCounter> Resources::find_counter(std::uint32_t handle) const
{
    auto it = counters_.find(handle);
    return it == counters_.end() ? nullptr : it->second;
}

AdminResult Resources::destroy_counter(const admin::CounterHandle& command)
{
    auto counter = find_counter(command.handle);
    if (!counter)
        return Status::illegal_parameter;
    if (counter->users != 0)
        return Status::resource_busy;
    counters_.erase(command.handle);
    counter_ids_.give(command.handle);
    return Status::success;
}

AdminResult Resources::modify_counter(const admin::ModifyEventCounter& command)
{
    auto counter = find_counter(command.counter);
    if (!counter || command.operation > admin::ModifyEventCounter::operation_add)
        return Status::illegal_parameter;
    if (command.operation == admin::ModifyEventCounter::operation_set)
        counter->set(command.value);
    else
        counter->add(command.value);
    return Status::success;
}

AdminResult Resources::attach_counter(const admin::AttachEventCounter& command)
{
    auto counter = find_counter(command.counter);
    auto qp = qps_.find(command.qp);
    if (!counter || qp == qps_.end() || (command.events & ~all_qp_events) != 0 ||
        command.type != admin::AttachEventCounter::type_qp_events)
        return Status::illegal_parameter;
    bool attached = qp->second.pair->counters().attach(counter, command.events);
    return attached ? Status::success : Status::resource_busy;
}

AdminResult Resources::detach_counter(const admin::AttachEventCounter& command)
{
    auto counter = find_counter(command.counter);
    auto qp = qps_.find(command.qp);
    bool detached = counter && qp != qps_.end() &&
                    command.type == admin::AttachEventCounter::type_qp_events &&
                    (command.events & ~all_qp_events) == 0 &&
                    qp->second.pair->counters().detach(counter, command.events);
    return detached ? Status::success : Status::illegal_parameter;
}

} // namespace lab::efa
