// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/efa_adapter.hpp"

#include "p2prdma/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include <unistd.h>

namespace p2prdma::daemon {
namespace {

/// libibverbs' list of devices, as it is now.
class Devices {
public:
    Devices() : list_(ibv_get_device_list(&count_)) {}
    ~Devices()
    {
        if (list_)
            ibv_free_device_list(list_);
    }
    Devices(const Devices&) = delete;
    Devices& operator=(const Devices&) = delete;

    std::span<ibv_device*> all() const noexcept
    {
        return {list_, list_ ? static_cast<std::size_t>(count_) : 0};
    }

private:
    int count_ = 0;
    ibv_device** list_;
};

bool is_efa(ibv_device& device)
{
    const Verbs<ibv_context> context(ibv_open_device(&device));
    efadv_device_attr attributes = {};
    return context && efadv_query_device(context.get(), &attributes, sizeof(attributes)) == 0;
}

p2prdma_isolation to_wire(Isolation::Level level)
{
    switch (level) {
    case Isolation::Level::iommu_strict:
        return P2PRDMA_ISOLATION_STRICT;
    case Isolation::Level::iommu_lazy:
        return P2PRDMA_ISOLATION_LAZY;
    case Isolation::Level::none:
        break;
    }
    return P2PRDMA_ISOLATION_NONE;
}

[[noreturn]] void none_of(const std::vector<std::string>& names)
{
    if (names.empty())
        throw Error(Errc::no_such_adapter, "there is no EFA adapter");
    throw Error(Errc::no_such_adapter, "there is no EFA adapter " + names.front());
}

} // namespace

std::vector<EfaAdapter> EfaAdapter::find(const Card& card, const std::vector<std::string>& names)
{
    std::vector<EfaAdapter> adapters;
    const Devices devices;
    for (auto* device : devices.all()) {
        const auto address = pci_address_of(*device);
        const bool wanted = names.empty() || std::ranges::find(names, device->name) != names.end();
        if (wanted && address && is_efa(*device))
            adapters.push_back(EfaAdapter(card, *device, *address));
    }
    for (const auto& name : names)
        if (std::ranges::none_of(
                adapters, [&](const EfaAdapter& adapter) { return adapter.info_.name == name; }))
            none_of({name});
    if (adapters.empty())
        none_of({});
    std::ranges::sort(adapters, {}, [](const EfaAdapter& adapter) { return adapter.info_.name; });
    return adapters;
}

void limit_to_reach(AdapterInfo& info, const Reach& reach)
{
    const std::string lacks = info.name + " or its driver has no completion ";
    info.reaches_card = reach.reachable();
    if (!info.reaches_card) {
        info.caps &= ~std::uint32_t(P2PRDMA_ADAPTER_CQ_IN_CARD | P2PRDMA_ADAPTER_COUNTER);
        info.no_path = reach.explain();
    } else if (!(info.caps & P2PRDMA_ADAPTER_CQ_IN_CARD)) {
        info.no_path = lacks + "queues in card memory";
    } else if (!(info.caps & P2PRDMA_ADAPTER_COUNTER)) {
        info.relay_reason = lacks + "counters in card memory";
    }
    if (!info.no_path.empty())
        info.reason = "no direct data path: " + info.no_path;
    else if (!info.relay_reason.empty())
        info.reason = "events are relayed by the host: " + info.relay_reason;
    else
        info.caps |= P2PRDMA_ADAPTER_P2P_EVENT;
}

EfaAdapter::EfaAdapter(const Card& card, ibv_device& device, const PciAddress& address)
    : address_(address)
{
    info_.name = device.name;
    const auto context = made(ibv_open_device(&device), "to be opened");
    describe(card, *context);
    limit_to_reach(info_, card.reach(device));
}

void EfaAdapter::describe(const Card& card, ibv_context& context)
{
    efadv_device_attr efa = {};
    ibv_device_attr device = {};
    ibv_port_attr port = {};
    ibv_gid gid = {};
    succeed(efadv_query_device(&context, &efa, sizeof(efa)), "to be queried");
    succeed(ibv_query_device(&context, &device), "to be queried");
    succeed(ibv_query_port(&context, 1, &port), "to tell of its port");
    succeed(ibv_query_gid(&context, 1, 0, &gid) ? errno : 0, "to tell its GID");
    const auto cap = [&](std::uint32_t of_efa, std::uint32_t ours) {
        return efa.device_caps & of_efa ? ours : 0u;
    };
    info_.caps = cap(EFADV_DEVICE_ATTR_CAPS_RDMA_READ, P2PRDMA_ADAPTER_RDMA_READ) |
                 cap(EFADV_DEVICE_ATTR_CAPS_RDMA_WRITE, P2PRDMA_ADAPTER_RDMA_WRITE) |
                 cap(EFADV_DEVICE_ATTR_CAPS_CQ_WITH_EXT_MEM_DMABUF, P2PRDMA_ADAPTER_CQ_IN_CARD) |
                 cap(EFADV_DEVICE_ATTR_CAPS_COMP_CNTR, P2PRDMA_ADAPTER_COUNTER);
    info_.max_send = efa.max_sq_wr;
    info_.max_receive = efa.max_rq_wr;
    info_.max_cq = static_cast<std::uint32_t>(device.max_cqe);
    info_.max_inline = std::max(efa.inline_buf_size, efa.inline_buf_size_ex);
    info_.max_message = port.max_msg_sz;
    info_.max_rdma = efa.max_rdma_size;
    std::memcpy(info_.gid.data(), gid.raw, info_.gid.size());
    isolation_ = card.isolation(address_);
    info_.isolation = to_wire(isolation_.level);
    info_.reason = isolation_.reason;
}

std::shared_ptr<EfaContext> EfaAdapter::open()
{
    const Devices devices; // the driver may have been bound anew since
    for (auto* device : devices.all()) {
        if (pci_address_of(*device) != address_)
            continue;
        auto context = std::make_shared<EfaContext>(*device);
        std::erase_if(contexts_, [](const auto& known) { return known.expired(); });
        contexts_.push_back(context);
        return context;
    }
    throw Refusal(ENODEV, info_.name + " has gone");
}

bool EfaAdapter::bound() const noexcept
{
    return ::access(("/sys/bus/pci/devices/" + address_.to_string() + "/driver").c_str(), F_OK) ==
           0;
}

void EfaAdapter::abandon() noexcept
{
    for (const auto& known : contexts_)
        if (const auto context = known.lock())
            context->abandon();
    contexts_.clear();
}

void EfaAdapter::check() noexcept
{
    if (!contexts_.empty() && !bound())
        abandon();
}

void EfaAdapter::watch(std::vector<pollfd>& descriptors)
{
    for (const auto& known : contexts_)
        if (const auto context = known.lock(); context && context->alive())
            descriptors.push_back({context->get()->async_fd, POLLIN, 0});
}

void EfaAdapter::take_events() noexcept
{
    for (const auto& known : contexts_) {
        const auto context = known.lock();
        if (context && context->take_events())
            return abandon();
    }
}

} // namespace p2prdma::daemon
