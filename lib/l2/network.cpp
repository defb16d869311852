// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/network.hpp"

#include "lib/l2/memory_port.hpp"

#include <algorithm>
#include <cstring>

namespace p2prdma::l2 {
namespace {

constexpr std::size_t shortest_frame = 60;
constexpr std::size_t gap = 24;           // preamble, FCS and the pause between two frames
constexpr std::size_t most_learnt = 8192; // as a switch's table

constexpr auto later = [](const auto& a, const auto& b) {
    return a.time != b.time ? a.time > b.time : a.order > b.order;
};

std::uint64_t address_at(std::span<const std::byte> frame, std::size_t at) noexcept
{
    std::uint64_t address = 0;
    std::memcpy(&address, frame.data() + at, 6);
    return address;
}

std::uint64_t number(const MacAddress& address) noexcept
{
    return address_at(std::as_bytes(std::span(address.bytes)), 0);
}

bool is_group(std::span<const std::byte> frame) noexcept
{
    return std::to_integer<bool>(frame[0] & std::byte{1});
}

std::size_t length(const Outgoing& frame) noexcept
{
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < frame.count; i++)
        bytes += frame.pieces[i].size();
    return bytes;
}

void gather(const Outgoing& frame, std::span<std::byte> to) noexcept
{
    for (std::size_t i = 0; i < frame.count; i++) {
        const auto piece = frame.pieces[i];
        std::copy(piece.begin(), piece.end(), to.begin());
        to = to.subspan(piece.size());
    }
    std::fill(to.begin(), to.end(), std::byte{});
}

Time time_for(std::size_t bytes, std::uint64_t bits_per_second) noexcept
{
    return bits_per_second ? Time(bytes * 8 * 1'000'000'000 / bits_per_second) : Time{};
}

} // namespace

Network::Network(std::uint64_t seed, const NetworkOptions& options)
    : options_(options), random_(seed)
{
}

Network::~Network() = default;

std::unique_ptr<MemoryPort> Network::attach(const MacAddress& address, const LinkOptions& link,
                                            const FrameFilter& filter)
{
    const auto index = static_cast<std::uint32_t>(links_.size());
    auto& made = *links_.emplace_back(std::make_unique<Link>());
    made.address = address;
    made.options = link;
    made.filter = filter;
    made.to_switch.impairments = link.to_switch;
    made.to_station.impairments = link.to_station;
    stations_[number(address)] = index;
    return std::make_unique<MemoryPort>(*this, index);
}

std::uint32_t Network::limit(const Link& link) noexcept
{
    return link.options.frame_limit + (link.filter.vlan ? vlan_tag : 0);
}

Time Network::next() const noexcept
{
    return events_.empty() ? Time::max() : events_.front().time;
}

void Network::deliver(Time now)
{
    while (!events_.empty() && events_.front().time <= now) {
        std::pop_heap(events_.begin(), events_.end(), later);
        const auto event = events_.back();
        events_.pop_back();
        now_ = event.time;
        happen(event);
    }
    now_ = std::max(now_, now);
}

void Network::schedule(Time time, Step step, std::uint32_t link, std::uint32_t frame)
{
    events_.push_back({time, order_++, link, frame, step});
    std::push_heap(events_.begin(), events_.end(), later);
}

void Network::discard(std::uint32_t frame, std::uint64_t& counter)
{
    counter++;
    pool_.give_back(frame);
}

// --- from a station to the switch ---------------------------------------------------------------

bool Network::has_room(const Link& link) const noexcept
{
    const auto queue = time_for(link.options.send_queue, link.options.bits_per_second);
    return link.to_switch.busy_until - now_ <= queue;
}

bool Network::send(std::uint32_t link, const Outgoing& frame)
{
    auto& from = *links_[link];
    if (!from.up || !has_room(from))
        return false;
    const auto bytes = length(frame);
    if (bytes > limit(from) || bytes < ethernet_header) {
        counters_.too_long++;
        return true;
    }
    const auto taken = pool_.take(options_.pad ? std::max(bytes, shortest_frame) : bytes);
    gather(frame, pool_.bytes(taken));
    enter(link, taken);
    return true;
}

void Network::inject(const MemoryPort& at, std::span<const std::byte> bytes)
{
    const auto taken = pool_.take(std::max<std::size_t>(bytes.size(), ethernet_header));
    gather({.pieces = {bytes}, .count = 1}, pool_.bytes(taken));
    enter(at.link_, taken);
}

void Network::enter(std::uint32_t link, std::uint32_t frame)
{
    auto& from = *links_[link];
    counters_.sent++;
    const Entering entering = {now_, *from.port, pool_.bytes(frame)};
    if (watch_)
        watch_(entering);
    const auto reached = transmit(from, from.to_switch, entering.bytes.size());
    if (drop_if_ && drop_if_(entering))
        discard(frame, counters_.dropped);
    else
        schedule(reached + from.options.delay, Step::at_switch, link, frame);
}

/// When the last bit has left.
Time Network::transmit(const Link& link, Direction& direction, std::size_t bytes) noexcept
{
    const auto start = std::max(now_, direction.busy_until);
    direction.busy_until = start + time_for(bytes + gap, link.options.bits_per_second);
    return direction.busy_until;
}

void Network::happen(const Event& event)
{
    switch (event.step) {
    case Step::at_switch:
        return arrive(event.link, true, event.frame);
    case Step::at_station:
        return arrive(event.link, false, event.frame);
    case Step::leaves_switch: {
        auto& link = *links_[event.link];
        link.waiting -= pool_.bytes(event.frame).size();
        waiting_ -= pool_.bytes(event.frame).size();
        return schedule(now_ + link.options.delay, Step::at_station, event.link, event.frame);
    }
    case Step::late_to_switch:
    case Step::late_to_station:
        return release_late(event);
    }
}

// --- what happens on a cable --------------------------------------------------------------------

void Network::arrive(std::uint32_t link, bool at_switch, std::uint32_t frame)
{
    auto& direction = at_switch ? links_[link]->to_switch : links_[link]->to_station;
    const auto& impairments = direction.impairments;
    if (!links_[link]->up)
        return discard(frame, counters_.link_down);
    if (random_.chance(impairments.lose))
        return discard(frame, counters_.lost);
    if (random_.chance(impairments.corrupt))
        flip_a_bit(frame);
    if (random_.chance(impairments.duplicate)) {
        counters_.duplicated++;
        pass(link, at_switch, pool_.copy(frame));
    }
    if (random_.chance(impairments.reorder))
        return hold(link, at_switch, frame);
    pass(link, at_switch, frame);
    if (!direction.held.empty())
        overtake(link, at_switch);
}

void Network::flip_a_bit(std::uint32_t frame) noexcept
{
    const auto bytes = pool_.bytes(frame);
    const auto bit = random_.below(bytes.size() * 8);
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    counters_.corrupted++;
}

void Network::hold(std::uint32_t link, bool at_switch, std::uint32_t frame)
{
    auto& direction = at_switch ? links_[link]->to_switch : links_[link]->to_station;
    const auto most = std::max(direction.impairments.reorder_by, 1U);
    const auto overtakers = 1 + static_cast<unsigned>(random_.below(most));
    counters_.reordered++;
    direction.held.push_back({order_, frame, overtakers});
    schedule(now_ + direction.impairments.reorder_time,
             at_switch ? Step::late_to_switch : Step::late_to_station, link, frame);
}

/// A frame went by: those for which it was the last one to wait for come behind it.
void Network::overtake(std::uint32_t link, bool at_switch)
{
    auto& held = (at_switch ? links_[link]->to_switch : links_[link]->to_station).held;
    const auto kept = std::stable_partition(held.begin(), held.end(),
                                            [](Held& one) { return --one.overtakers > 0; });
    for (auto one = kept; one != held.end(); ++one)
        pass(link, at_switch, one->frame);
    held.erase(kept, held.end());
}

/// Nothing overtook it for so long; unless something did, then it is no longer held.
void Network::release_late(const Event& event)
{
    const bool at_switch = event.step == Step::late_to_switch;
    auto& held = (at_switch ? links_[event.link]->to_switch : links_[event.link]->to_station).held;
    const auto found =
        std::ranges::find_if(held, [&](const Held& one) { return one.order == event.order; });
    if (found == held.end())
        return;
    held.erase(found);
    pass(event.link, at_switch, event.frame);
}

void Network::pass(std::uint32_t link, bool at_switch, std::uint32_t frame)
{
    if (at_switch)
        route(link, frame);
    else
        receive(*links_[link], frame);
}

// --- the switch ---------------------------------------------------------------------------------

void Network::learn(std::uint32_t link, std::span<const std::byte> frame)
{
    const auto source = address_at(frame, 6);
    if (is_group(frame.subspan(6)))
        return;
    if (const auto known = stations_.find(source); known != stations_.end())
        known->second = link;
    else if (stations_.size() < most_learnt)
        stations_.emplace(source, link);
}

void Network::route(std::uint32_t from, std::uint32_t frame)
{
    const auto bytes = pool_.bytes(frame);
    learn(from, bytes);
    if (is_group(bytes))
        return flood(from, frame);
    const auto found = stations_.find(address_at(bytes, 0));
    if (found == stations_.end() || !links_[found->second]->port)
        return flood(from, frame);
    if (found->second == from)
        return discard(frame, counters_.unwanted);
    output(found->second, frame);
}

void Network::flood(std::uint32_t from, std::uint32_t frame)
{
    for (std::uint32_t link = 0; link < links_.size(); link++)
        if (link != from && links_[link]->port)
            output(link, pool_.copy(frame));
    pool_.give_back(frame);
}

void Network::output(std::uint32_t link, std::uint32_t frame)
{
    auto& to = *links_[link];
    const auto bytes = pool_.bytes(frame).size();
    const auto over = [bytes](std::size_t used, std::size_t limit) {
        return limit && used + bytes > limit;
    };
    if (over(to.waiting, options_.output_buffer) || over(waiting_, options_.shared_buffer))
        return discard(frame, counters_.overflowed);
    to.waiting += bytes;
    waiting_ += bytes;
    schedule(transmit(to, to.to_station, bytes), Step::leaves_switch, link, frame);
}

// --- at the other station -----------------------------------------------------------------------

bool Network::accepts(const Link& link, std::span<const std::byte> frame) noexcept
{
    const bool ours = is_group(frame) || address_at(frame, 0) == number(link.address);
    auto& counters = counters_;
    if (!link.port || !ours || !link.filter.wants(frame))
        counters.unwanted++;
    else if (frame.size() > std::max<std::size_t>(limit(link), shortest_frame))
        counters.too_long++;
    else if (link.received_bytes + frame.size() > link.options.receive_queue)
        counters.queue_full++;
    else
        return true;
    return false;
}

void Network::receive(Link& link, std::uint32_t frame)
{
    const auto bytes = pool_.bytes(frame);
    if (!accepts(link, bytes))
        return pool_.give_back(frame);
    link.received.push_back(frame);
    link.received_bytes += bytes.size();
    counters_.delivered++;
}

} // namespace p2prdma::l2
