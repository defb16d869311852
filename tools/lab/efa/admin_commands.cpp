// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/admin_commands.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace lab::efa {

namespace {

using admin::Feature;
using admin::Status;

// Asynchronous event groups: fatal error, warning, notification, keep-alive
constexpr std::uint32_t aenq_groups = 0x1e;

constexpr std::uint64_t bit(Feature feature)
{
    return std::uint64_t{1} << static_cast<unsigned>(feature);
}

/// Powers of two that a region's pages may have.
constexpr std::uint64_t page_sizes()
{
    std::uint64_t sizes = 0;
    for (unsigned s = MemoryRegion::page_shift_min; s <= MemoryRegion::page_shift_max; ++s)
        sizes |= std::uint64_t{1} << s;
    return sizes;
}

admin::DeviceAttr device_attr(const Identity& identity)
{
    constexpr std::uint64_t features = bit(Feature::aenq_config) | bit(Feature::network_attr) |
                                       bit(Feature::queue_attr_1) | bit(Feature::hw_hints) |
                                       bit(Feature::host_info) | bit(Feature::event_queue_attr) |
                                       bit(Feature::queue_attr_2);
    const std::uint32_t counters = identity.event_counters ? admin::cap_event_counters : 0;
    return {.supported_features = features,
            .page_size_cap = page_sizes(),
            .firmware_version = 1,
            .api_version = 1,
            .device_version = 1,
            .doorbell_bar = identity.doorbell_bar,
            .physical_width = 48,
            .virtual_width = 64,
            .device_caps = admin::cap_rdma_read | admin::cap_rnr_retry | admin::cap_rdma_write |
                           admin::cap_unsolicited_write_recv | counters,
            .max_rdma_size = Limits::max_rdma_size,
            .guid = identity.guid,
            .link_speed_gbps = 100,
            .reserved = 0,
            .reserved2 = 0};
}

admin::QueueAttr1 queue_attr_1()
{
    return {.max_qp = Limits::max_qp,
            .max_sq_depth = Limits::max_sq_depth,
            .inline_size = Limits::inline_size,
            .max_rq_depth = Limits::max_rq_depth,
            .max_cq = Limits::max_cq,
            .max_cq_depth = Limits::max_cq_depth,
            .sub_cqs_per_cq = 1,
            .min_sq_depth = 0, // libefa 65 takes 1 for a reason to post nothing to a queue of 1
            .max_send_sges = Limits::max_send_sges,
            .max_receive_sges = Limits::max_receive_sges,
            .max_mr = MemoryRegionTable::max_regions,
            .max_mr_pages = Limits::max_mr_pages,
            .max_pd = Limits::max_pd,
            .max_ah = AddressHandleTable::max_handles,
            .max_llq_size = Limits::max_llq_size,
            .max_rdma_sges = 1,
            .max_tx_batch = 0};
}

admin::QueueAttr2 queue_attr_2(const Identity& identity)
{
    if (!identity.event_counters)
        return {.inline_size_ex = Limits::inline_size_ex,
                .reserved = {},
                .counter_events = 0,
                .max_counters = 0,
                .counter_max = 0};
    return {.inline_size_ex = Limits::inline_size_ex,
            .reserved = {},
            .counter_events = all_qp_events,
            .max_counters = Limits::max_event_counters,
            .counter_max = std::numeric_limits<std::uint64_t>::max()};
}

AdminResult get_feature(const Context& context, const Identity& identity, Feature feature)
{
    switch (feature) {
    case Feature::device_attr:
        return AdminResult::with(device_attr(identity));
    case Feature::aenq_config:
        return AdminResult::with(admin::AenqConfig{aenq_groups, aenq_groups});
    case Feature::network_attr:
        return AdminResult::with(admin::NetworkAttr{context.gid, Limits::mtu});
    case Feature::queue_attr_1:
        return AdminResult::with(queue_attr_1());
    case Feature::hw_hints:
        return AdminResult::with(admin::HwHints{}); // the driver's own defaults
    case Feature::event_queue_attr:
        return AdminResult::with(admin::EventQueueAttr{identity.max_eq, Limits::max_eq_depth,
                                                       admin::CreateEq::event_completion});
    case Feature::queue_attr_2:
        return AdminResult::with(queue_attr_2(identity));
    case Feature::host_info:
        break;
    }
    return Status::illegal_parameter;
}

/// The driver tells what it is, and which asynchronous events it wants: none are sent.
AdminResult set_feature(const admin::FeatureCommand& command)
{
    if (command.feature == Feature::host_info)
        return Status::success;
    if (command.feature == Feature::aenq_config && (command.data[1] & ~aenq_groups) == 0)
        return Status::success;
    return Status::illegal_parameter;
}

AdminResult get_stats(const Counters& c, const admin::GetStats& command)
{
    using Values = admin::StatsResponse;
    if (command.scope != 0)
        return Status::illegal_parameter;
    switch (command.type) {
    case admin::StatsType::basic:
        return AdminResult::with(Values{
            {c.tx_bytes, c.tx_packets, c.rx_bytes, c.rx_packets, c.rx_drops, c.qkey_violations}});
    case admin::StatsType::messages:
        return AdminResult::with(
            Values{{c.send_bytes, c.send_requests, c.receive_bytes, c.receive_requests, 0, 0}});
    case admin::StatsType::rdma_read:
        return AdminResult::with(
            Values{{c.read_requests, c.read_bytes, c.read_errors, c.read_response_bytes, 0, 0}});
    case admin::StatsType::rdma_write:
        return AdminResult::with(
            Values{{c.write_requests, c.write_bytes, c.write_errors, c.write_receive_bytes, 0, 0}});
    case admin::StatsType::network: // nothing is ever sent twice
        return AdminResult::with(Values{{0, 0, 0, c.unresponsive, 0, 0}});
    }
    return Status::illegal_parameter;
}

template <typename Command>
AdminResult call(Resources& resources, AdminResult (Resources::*method)(const Command&),
                 const admin::SubmissionEntry& entry)
{
    return (resources.*method)(command_as<Command>(entry));
}

AdminResult call(Resources& resources, AdminResult (Resources::*method)(),
                 const admin::SubmissionEntry&)
{
    return (resources.*method)();
}

/// A command that a method of Resources executes.
struct Handler {
    admin::Opcode opcode;
    AdminResult (*execute)(Resources&, const admin::SubmissionEntry&);
};

template <auto Method>
constexpr Handler handler(admin::Opcode opcode)
{
    return {opcode, [](Resources& resources, const admin::SubmissionEntry& entry) {
                return call(resources, Method, entry);
            }};
}

using admin::Opcode;
constexpr std::array handlers{
    handler<&Resources::create_qp>(Opcode::create_qp),
    handler<&Resources::modify_qp>(Opcode::modify_qp),
    handler<&Resources::query_qp>(Opcode::query_qp),
    handler<&Resources::destroy_qp>(Opcode::destroy_qp),
    handler<&Resources::create_ah>(Opcode::create_ah),
    handler<&Resources::destroy_ah>(Opcode::destroy_ah),
    handler<&Resources::deregister_mr>(Opcode::dereg_mr),
    handler<&Resources::create_cq>(Opcode::create_cq),
    handler<&Resources::destroy_cq>(Opcode::destroy_cq),
    handler<&Resources::alloc_pd>(Opcode::alloc_pd),
    handler<&Resources::dealloc_pd>(Opcode::dealloc_pd),
    handler<&Resources::alloc_uar>(Opcode::alloc_uar),
    handler<&Resources::dealloc_uar>(Opcode::dealloc_uar),
    handler<&Resources::create_eq>(Opcode::create_eq),
    handler<&Resources::destroy_eq>(Opcode::destroy_eq),
    handler<&Resources::create_counter>(Opcode::create_event_counter),
    handler<&Resources::destroy_counter>(Opcode::destroy_event_counter),
    handler<&Resources::attach_counter>(Opcode::attach_event_counter),
    handler<&Resources::modify_counter>(Opcode::modify_event_counter),
    handler<&Resources::detach_counter>(Opcode::detach_event_counter),
};

bool is_of_counters(Opcode opcode)
{
    return opcode >= Opcode::create_event_counter && opcode <= Opcode::detach_event_counter;
}

AdminResult execute_now(Context& context, const Identity& identity, Resources& resources,
                        const admin::SubmissionEntry& entry)
{
    auto opcode = static_cast<Opcode>(entry.head.opcode);
    if (opcode == Opcode::get_feature)
        return get_feature(context, identity, command_as<admin::FeatureCommand>(entry).feature);
    if (opcode == Opcode::set_feature)
        return set_feature(command_as<admin::FeatureCommand>(entry));
    if (opcode == Opcode::get_stats)
        return get_stats(context.counters, command_as<admin::GetStats>(entry));
    if (is_of_counters(opcode) && !identity.event_counters)
        return Status::unsupported_opcode;
    auto found = std::find_if(handlers.begin(), handlers.end(),
                              [opcode](const Handler& h) { return h.opcode == opcode; });
    if (found != handlers.end())
        return found->execute(resources, entry);
    bool known = entry.head.opcode != 0 && opcode <= Opcode::last;
    return known ? Status::unsupported_opcode : Status::bad_opcode;
}

} // namespace

void execute_admin_command(Context& context, const Identity& identity, Resources& resources,
                           const admin::SubmissionEntry& entry, const AdminDone& done)
{
    ++context.counters.admin_commands;
    auto counted = [&context, done](const AdminResult& result) {
        if (result.status != Status::success)
            ++context.counters.admin_errors;
        done(result);
    };
    if (entry.head.opcode == static_cast<std::uint8_t>(admin::Opcode::reg_mr))
        resources.register_mr(command_as<admin::RegMr>(entry), entry.head.flags, counted);
    else
        counted(execute_now(context, identity, resources, entry));
}

} // namespace lab::efa
