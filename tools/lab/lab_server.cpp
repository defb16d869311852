// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/lab_server.hpp"

#include <algorithm>

namespace lab {

LabServer::LabServer(EventLoop& loop, const Config& config) : factory_(loop)
{
    for (const auto& machine : config.machines) {
        std::vector<Machine::BarFile> bars;
        for (const auto& bar : machine.bars)
            bars.push_back({bar.path, bar.switch_name});
        machines_.emplace_back(machine.name, machine.ram, std::move(bars));
        for (const auto& device : machine.devices)
            add(loop, machines_.back(), device);
    }
}

/// What the card's own machine sees goes before the card.
LabServer::~LabServer()
{
    while (!devices_.empty())
        devices_.pop_back();
}

void LabServer::add(EventLoop& loop, Machine& machine, const DeviceConfig& config)
{
    Served served;
    served.type = config.type;
    served.device = factory_.make(machine.name() + "." + config.id, config);
    machine.add(*served.device, config.switch_name);
    served.server = std::make_unique<VfioUserServer>(loop, machine, *served.device, config.socket);
    devices_.push_back(std::move(served));
}

const LabServer::Served* LabServer::find(const std::string& name) const
{
    auto it = std::find_if(devices_.begin(), devices_.end(),
                           [&](const Served& served) { return served.device->name() == name; });
    return it == devices_.end() ? nullptr : &*it;
}

} // namespace lab
