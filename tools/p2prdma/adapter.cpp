// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/adapter.hpp"

#include "p2prdma/error.hpp"
#include "tools/p2prdma/failure.hpp"

#include <algorithm>
#include <cerrno>
#include <span>

#include <infiniband/efadv.h>

namespace p2prdma::tool {
namespace {

/// libibverbs' list of devices.
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

bool is_efa(ibv_context* context)
{
    efadv_device_attr attributes = {};
    return efadv_query_device(context, &attributes, sizeof(attributes)) == 0;
}

/// The first active port, 0 if there is none.
std::uint8_t active_port(ibv_context* context, ibv_port_attr& attributes)
{
    ibv_device_attr device = {};
    if (ibv_query_device(context, &device))
        return 0;
    for (std::uint8_t port = 1; port <= device.phys_port_cnt; port++)
        if (ibv_query_port(context, port, &attributes) == 0 && attributes.state == IBV_PORT_ACTIVE)
            return port;
    return 0;
}

bool is_ipv4(const ibv_gid& gid)
{
    static constexpr std::uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::equal(std::begin(prefix), std::end(prefix), gid.raw);
}

bool is_link_local(const ibv_gid& gid)
{
    return gid.raw[0] == 0xfe && (gid.raw[1] & 0xc0) == 0x80;
}

/// How good an entry of the GID table is as a source: 0 is none at all.
int rank(const ibv_gid_entry& entry)
{
    int value = 1;
    if (entry.gid_type == IBV_GID_TYPE_ROCE_V2)
        value += 8;
    if (is_ipv4(entry.gid))
        value += 4;
    if (!is_link_local(entry.gid))
        value += 2;
    return value;
}

/// Why a device cannot be used for that; nothing if it can.
std::optional<Error> unfitness(const ibv_device& device, const Adapter::Entry& entry,
                               const std::optional<Card>& card,
                               std::optional<wire::Transport> transport)
{
    if (!entry.active)
        return Error(Errc::no_such_adapter,
                     "the RDMA device " + entry.name + " has no active port");
    if (transport && entry.transport != *transport)
        return Error(Errc::no_such_adapter, std::string("there is no RDMA device that speaks ") +
                                                name_of(*transport) + ", as the receiver's does");
    if (!card)
        return std::nullopt;
    const auto reach = card->reach(device);
    return reach.reachable() ? std::nullopt
                             : std::optional(Error(Errc::unreachable, reach.explain()));
}

} // namespace

const char* name_of(wire::Transport transport) noexcept
{
    switch (transport) {
    case wire::Transport::srd:
        return "SRD";
    case wire::Transport::rc:
        return "RC";
    case wire::Transport::l2:
        break;
    }
    return "L2";
}

std::vector<Adapter::Entry> Adapter::list()
{
    const Devices devices;
    std::vector<Entry> entries;
    for (auto* device : devices.all())
        entries.push_back(Entry::of(*device));
    return entries;
}

Adapter::Entry Adapter::Entry::of(ibv_device& device)
{
    Entry entry = {device.name, pci_address_of(device), wire::Transport::rc, false};
    const std::unique_ptr<ibv_context, Close> context(ibv_open_device(&device));
    if (!context)
        return entry;
    ibv_port_attr ignored = {};
    entry.active = active_port(context.get(), ignored) != 0;
    if (is_efa(context.get()))
        entry.transport = wire::Transport::srd;
    return entry;
}

Adapter::Adapter(ibv_device* device) : context_(ibv_open_device(device))
{
    const std::string name = device->name;
    if (!context_ && (errno == EACCES || errno == EPERM))
        throw Error(Errc::not_permitted, "no permission to open the RDMA device " + name);
    if (!context_)
        throw system_failure(errno, "cannot open the RDMA device " + name);
    if (is_efa(context_.get()))
        transport_ = wire::Transport::srd;
    port_ = active_port(context_.get(), port_attributes_);
    if (!port_)
        throw Error(Errc::no_such_adapter, "the RDMA device " + name + " has no active port");
    pd_.reset(ibv_alloc_pd(context_.get()));
    if (!pd_)
        throw system_failure(errno, "cannot use the RDMA device " + name);
}

Adapter Adapter::open(const std::string& name)
{
    const Devices devices;
    std::string known;
    for (auto* device : devices.all()) {
        if (name == device->name)
            return Adapter(device);
        known += (known.empty() ? "; there is " : ", ") + std::string(device->name);
    }
    throw Error(Errc::no_such_adapter, "there is no RDMA device " + name + known);
}

Adapter Adapter::choose(const std::optional<Card>& card, std::optional<wire::Transport> transport)
{
    const Devices devices;
    if (devices.all().empty())
        throw Error(Errc::no_such_adapter, "there is no RDMA device");
    std::optional<Error> why;
    for (auto* device : devices.all()) {
        const auto entry = Entry::of(*device);
        auto unfit = unfitness(*device, entry, card, transport);
        if (!unfit)
            return Adapter(device);
        // A device that the kernel refuses tells more than one that could never do it.
        if (!why || (entry.pci && unfit->code() == Errc::unreachable))
            why = std::move(unfit);
    }
    throw *why;
}

std::uint8_t Adapter::gid_index() const
{
    int best = 0;
    std::uint8_t index = 0;
    for (int i = 0; i < port_attributes_.gid_tbl_len && i < 256; i++) {
        ibv_gid_entry entry = {};
        if (ibv_query_gid_ex(context(), port_, static_cast<std::uint32_t>(i), &entry, 0))
            continue; // an empty entry
        if (rank(entry) > best) {
            best = rank(entry);
            index = static_cast<std::uint8_t>(i);
        }
    }
    return index;
}

union ibv_gid Adapter::gid(std::uint8_t index) const
{
    union ibv_gid gid = {};
    if (ibv_query_gid(context(), port_, index, &gid))
        throw system_failure(errno, "cannot read the GID of " + name());
    return gid;
}

std::string Adapter::path_to(const std::optional<Card>& card) const
{
    return card ? p2prdma::to_string(card->reach(*context_->device).kind) : "host";
}

void Adapter::require_isolation(const std::optional<Card>& card, Isolation::Level level) const
{
    const auto address = pci_address_of(*context_->device);
    if (card && address && level != Isolation::Level::none)
        card->isolation(*address).require(level);
}

} // namespace p2prdma::tool
