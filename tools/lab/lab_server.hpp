// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/config.hpp"
#include "tools/lab/device_factory.hpp"
#include "tools/lab/machine.hpp"
#include "tools/lab/vfio_user_server.hpp"

#include <deque>
#include <memory>
#include <string>

namespace lab {

/// All machines of a lab, with the models of their devices, each listening for its QEMU.
class LabServer {
public:
    /// A device and what serves it. The order matters at the end: the server goes first.
    struct Served {
        std::string type;
        std::unique_ptr<PciDevice> device;
        std::unique_ptr<VfioUserServer> server;
    };

    /// When it returns, every device's socket accepts connections. Throws ConfigError, or
    /// std::system_error if a socket or memory cannot be made.
    LabServer(EventLoop& loop, const Config& config);

    ~LabServer();

    const std::deque<Served>& devices() const { return devices_; }
    /// The device of that name, "machine.device", or null.
    const Served* find(const std::string& name) const;

private:
    void add(EventLoop& loop, Machine& machine, const DeviceConfig& config);

    DeviceFactory factory_;
    std::deque<Machine> machines_;
    std::deque<Served> devices_;
};

} // namespace lab
