// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/pending_requests.hpp"

#include <algorithm>

namespace p2prdma::l2 {

bool PendingRequests::listen(std::uint32_t service, unsigned backlog, UniqueEvent* event)
{
    return services_.try_emplace(service, Service{backlog, event}).second;
}

void PendingRequests::unlisten(std::uint32_t service) noexcept
{
    services_.erase(service);
    std::erase_if(requests_, [&](const auto& one) { return one.connect.service == service; });
}

bool PendingRequests::serves(std::uint32_t service) const noexcept
{
    return service == 0 ? !services_.empty() : services_.contains(service);
}

std::size_t PendingRequests::waiting(std::uint32_t service) const noexcept
{
    return static_cast<std::size_t>(
        std::count_if(requests_.begin(), requests_.end(), [&](const auto& one) {
            return one.connect.service == service && !one.taken;
        }));
}

void PendingRequests::update_events() noexcept
{
    for (auto& [number, service] : services_) {
        if (service.event == nullptr)
            continue;
        if (waiting(number) != 0)
            service.event->ring();
        else
            service.event->clear();
    }
}

PendingRequests::Added PendingRequests::add(const MacAddress& peer, const wire::Connect& connect,
                                            std::span<const std::byte> private_data, Time now)
{
    const auto known = std::find_if(requests_.begin(), requests_.end(), [&](const auto& one) {
        return one.peer == peer && one.connect.nonce == connect.nonce;
    });
    if (known != requests_.end()) {
        known->heard = now;
        return Added::known;
    }
    const auto service = services_.find(connect.service);
    if (service == services_.end())
        return Added::no_listener;
    if (requests_.size() >= limit || waiting(connect.service) >= service->second.backlog)
        return Added::full;
    requests_.push_back({.id = ++ids_,
                         .peer = peer,
                         .connect = connect,
                         .private_data = {private_data.begin(), private_data.end()},
                         .heard = now});
    update_events();
    return Added::added;
}

const PendingRequest* PendingRequests::take(std::uint32_t service, Time now) noexcept
{
    expire(now);
    for (auto& one : requests_)
        if (one.connect.service == service && !one.taken) {
            one.taken = true;
            update_events();
            return &one;
        }
    return nullptr;
}

const PendingRequest* PendingRequests::find(std::uint64_t id) const noexcept
{
    const auto found = std::find_if(requests_.begin(), requests_.end(),
                                    [&](const auto& one) { return one.id == id; });
    return found == requests_.end() ? nullptr : &*found;
}

void PendingRequests::remove(std::uint64_t id) noexcept
{
    std::erase_if(requests_, [&](const auto& one) { return one.id == id; });
    update_events();
}

void PendingRequests::expire(Time now) noexcept
{
    const auto gone = std::erase_if(
        requests_, [&](const auto& one) { return now - one.heard >= forgotten_after; });
    if (gone != 0)
        update_events();
}

} // namespace p2prdma::l2
