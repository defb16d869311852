// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/config.hpp"
#include "tools/lab/fabric.hpp"
#include "tools/lab/pci_device.hpp"

#include <map>
#include <memory>
#include <string>

namespace lab {

class RefCard;

/// Builds device models from their configuration, and the fabrics that join them. It outlives the
/// devices.
class DeviceFactory {
public:
    explicit DeviceFactory(EventLoop& loop) : loop_(loop) {}

    /// `name` is the full name, "machine.device". Throws ConfigError if the type or an option is
    /// unknown or makes no sense.
    std::unique_ptr<PciDevice> make(const std::string& name, const DeviceConfig& config);

private:
    std::unique_ptr<PciDevice> make_refcard(const std::string& name, ObjectReader& options);
    std::unique_ptr<PciDevice> make_refcard_pool(const std::string& name, ObjectReader& options);
    std::unique_ptr<PciDevice> make_refcard_aperture(const std::string& name,
                                                     ObjectReader& options);
    std::unique_ptr<PciDevice> make_efa(const std::string& name, ObjectReader& options);
    RefCard& card(const std::string& name) const;
    Fabric& fabric(const std::string& name);

    EventLoop& loop_;
    std::map<std::string, Fabric> fabrics_;
    std::map<std::string, RefCard*> cards_; ///< made so far, by name
};

} // namespace lab
