// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/memory_port.hpp"

#include <algorithm>

namespace p2prdma::l2 {

MemoryPort::MemoryPort(Network& network, std::uint32_t link) noexcept
    : network_(network), link_(link)
{
    this->link().port = this;
}

MemoryPort::~MemoryPort()
{
    for (const auto frame : lent_)
        network_.pool_.give_back(frame);
    for (const auto frame : link().received)
        network_.pool_.give_back(frame);
    link().received.clear();
    link().port = nullptr;
    link().up = false;
}

MacAddress MemoryPort::address() const noexcept
{
    return link().address;
}

std::uint32_t MemoryPort::frame_limit() const noexcept
{
    return Network::limit(link());
}

std::string MemoryPort::reason() const
{
    return "memory: a simulated network";
}

bool MemoryPort::is_up() const noexcept
{
    return link().up;
}

std::size_t MemoryPort::send(std::span<const Outgoing> frames) noexcept
{
    std::size_t sent = 0;
    while (sent < frames.size() && network_.send(link_, frames[sent]))
        sent++;
    return sent;
}

std::size_t MemoryPort::receive(std::span<std::span<const std::byte>> frames) noexcept
{
    for (const auto frame : lent_)
        network_.pool_.give_back(frame);
    auto& queue = link().received;
    const auto count = std::min(frames.size(), queue.size());
    lent_.assign(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(count));
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(count));
    for (std::size_t i = 0; i < count; i++) {
        frames[i] = network_.pool_.bytes(lent_[i]);
        link().received_bytes -= frames[i].size();
    }
    return count;
}

void MemoryPort::set_address(const MacAddress& address) noexcept
{
    link().address = address;
}

void MemoryPort::set_frame_limit(std::uint32_t bytes) noexcept
{
    link().options.frame_limit = bytes;
}

void MemoryPort::set_up(bool up) noexcept
{
    link().up = up;
}

void MemoryPort::set_impairments(const Impairments& to_switch,
                                 const Impairments& to_station) noexcept
{
    link().to_switch.impairments = to_switch;
    link().to_station.impairments = to_station;
}

} // namespace p2prdma::l2
