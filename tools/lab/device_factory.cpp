// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/device_factory.hpp"

#include "tools/lab/efa/adapter.hpp"
#include "tools/lab/event_loop.hpp"
#include "tools/lab/refcard.hpp"

namespace lab {

std::unique_ptr<PciDevice> DeviceFactory::make(const std::string& name, const DeviceConfig& config)
{
    using Maker = std::unique_ptr<PciDevice> (DeviceFactory::*)(const std::string&, ObjectReader&);
    static const std::map<std::string, Maker> makers{
        {"refcard", &DeviceFactory::make_refcard},
        {"efa", &DeviceFactory::make_efa},
    };
    auto maker = makers.find(config.type);
    if (maker == makers.end())
        throw ConfigError("device \"" + name + "\": there is no type \"" + config.type + "\"");
    ObjectReader options(config.options, "device \"" + name + "\"");
    try {
        return (this->*maker->second)(name, options);
    } catch (const std::invalid_argument& error) {
        throw ConfigError("device \"" + name + "\": " + error.what());
    }
}

std::unique_ptr<PciDevice> DeviceFactory::make_refcard(const std::string& name,
                                                       ObjectReader& options)
{
    std::uint64_t memory = options.number("memory");
    std::uint64_t serial = options.number_or("serial", 0);
    options.finish();
    return std::make_unique<RefCard>(loop_, name, memory, serial);
}

std::unique_ptr<PciDevice> DeviceFactory::make_efa(const std::string& name, ObjectReader& options)
{
    Fabric& joined = fabric(options.string("fabric"));
    return std::make_unique<EfaAdapter>(loop_, name, options.rest(), joined);
}

Fabric& DeviceFactory::fabric(const std::string& name)
{
    return fabrics_.try_emplace(name, loop_).first->second;
}

} // namespace lab
