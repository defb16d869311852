// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/verbs_provider.hpp"

#include "tools/p2prdmad/card_objects.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace p2prdma::daemon {

VerbsProvider::VerbsProvider(const Card& card, std::vector<EfaAdapter> adapters,
                             MayAddress may_address)
    : card_(card), shared_{card_, [this]() -> const HcaRegisters& { return registers(); }, relay_,
                           std::move(may_address),
                           [this](const std::shared_ptr<EfaQueuePair>& qp) { remember(qp); }},
      adapters_(std::move(adapters))
{
}

std::uint32_t VerbsProvider::adapters() const
{
    return static_cast<std::uint32_t>(adapters_.size());
}

void VerbsProvider::remember(const std::shared_ptr<EfaQueuePair>& qp)
{
    std::erase_if(queue_pairs_, [](const auto& known) { return known.expired(); });
    queue_pairs_.push_back(qp);
}

const HcaRegisters& VerbsProvider::registers()
{
    if (!registers_)
        registers_ = HcaRegisters::open();
    return *registers_;
}

std::unique_ptr<AdapterSession> VerbsProvider::open(std::uint32_t adapter)
{
    return std::make_unique<EfaSession>(shared_, info(adapter), adapters_.at(adapter).open());
}

std::shared_ptr<Target> VerbsProvider::allocate(std::uint64_t length, bool uncached, bool read_only)
{
    const auto cache = uncached ? Cache::uncached : Cache::write_combining;
    return std::make_shared<CardMemory>(card_.allocate(length, {.cache = cache}), uncached,
                                        read_only);
}

std::shared_ptr<Event> VerbsProvider::create_event(std::uint32_t adapter, bool relayed)
{
    const auto& about = info(adapter);
    if (!about.no_path.empty())
        throw Refusal(EOPNOTSUPP, "nothing could raise an event: " + about.no_path);
    const bool must = !about.relay_reason.empty();
    return std::make_shared<CardEvent>(card_.open_doorbell(), must || relayed,
                                       must      ? about.relay_reason
                                       : relayed ? "the client asked for it"
                                                 : "");
}

void VerbsProvider::watch(std::vector<pollfd>& descriptors)
{
    for (auto& adapter : adapters_)
        adapter.watch(descriptors);
    for (const auto& known : queue_pairs_)
        if (const auto qp = known.lock())
            for (const auto& window : qp->windows)
                descriptors.push_back({window.fd(), 0, 0});
}

std::vector<const Object*> VerbsProvider::attend()
{
    for (auto& adapter : adapters_)
        adapter.take_events();
    std::vector<const Object*> lost;
    std::erase_if(queue_pairs_, [&lost](const auto& known) {
        const auto qp = known.lock();
        if (qp && qp->lost())
            lost.push_back(qp.get());
        return !qp || qp->lost();
    });
    if (!lost.empty())
        check_adapters(); // a driver that goes takes windows away first
    return lost;
}

void VerbsProvider::check_adapters() noexcept
{
    for (auto& adapter : adapters_)
        adapter.check();
}

} // namespace p2prdma::daemon
