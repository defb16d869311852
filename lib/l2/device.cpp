// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/l2/device.hpp"

#include "lib/l2/device_state.hpp"

namespace p2prdma::l2 {

Device Device::open(const std::string& interface, const DeviceOptions& options)
{
    return Device(std::make_shared<State>(interface, options));
}

Device::Device(Device&&) noexcept = default;
Device& Device::operator=(Device&&) noexcept = default;
Device::~Device() = default;

MacAddress Device::address() const noexcept
{
    const std::lock_guard lock(state_->mutex); // it is looked for changes
    return state_->port->address();
}

const std::string& Device::interface() const noexcept
{
    return state_->interface;
}

PortKind Device::port() const noexcept
{
    return state_->port->kind();
}

std::string Device::port_reason() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->port->reason();
}

std::uint32_t Device::frame_limit() const noexcept
{
    const std::lock_guard lock(state_->mutex);
    return state_->port->frame_limit();
}

Statistics Device::statistics() const
{
    const std::lock_guard lock(state_->mutex);
    auto all = state_->engine.counters().all();
    const auto of_port = state_->port->statistics();
    all.insert(all.end(), of_port.begin(), of_port.end());
    return all;
}

std::vector<Peer> Device::discover(std::uint32_t service, std::chrono::milliseconds wait)
{
    constexpr unsigned times = 3; // a frame may be lost
    State::Lock lock(state_->mutex);
    auto& engine = state_->engine;
    auto& discovery = engine.begin_discovery(service);
    const auto begin = State::Clock::now();
    for (unsigned i = 1; i <= times; ++i) {
        engine.ask(discovery, State::now());
        (void)state_->drive(lock, begin + wait * i / times, {}, [] { return false; });
    }
    return engine.end_discovery(discovery);
}

bool Device::progress() noexcept
{
    const std::lock_guard lock(state_->mutex);
    return state_->progress();
}

int Device::fd() const noexcept
{
    const std::lock_guard lock(state_->mutex);
    return state_->watch();
}

std::chrono::steady_clock::time_point Device::due() const noexcept
{
    const std::lock_guard lock(state_->mutex);
    const auto due = state_->engine.deadline();
    return std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(due));
}

} // namespace p2prdma::l2
