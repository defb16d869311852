// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/device_factory.hpp"

#include "tools/lab/efa/adapter.hpp"
#include "tools/lab/event_loop.hpp"
#include "tools/lab/refcard_aperture.hpp"

namespace lab {

std::unique_ptr<PciDevice> DeviceFactory::make(const std::string& name, const DeviceConfig& config)
{
    using Maker = std::unique_ptr<PciDevice> (DeviceFactory::*)(const std::string&, ObjectReader&);
    static const std::map<std::string, Maker> makers{
        {"refcard", &DeviceFactory::make_refcard},
        {"refcard-pool", &DeviceFactory::make_refcard_pool},
        {"refcard-aperture", &DeviceFactory::make_refcard_aperture},
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
    auto card = std::make_unique<RefCard>(loop_, name, memory, serial);
    cards_[name] = card.get();
    return card;
}

std::unique_ptr<PciDevice> DeviceFactory::make_refcard_pool(const std::string& name,
                                                            ObjectReader& options)
{
    RefCard& of = card(options.string("of"));
    options.finish();
    return std::make_unique<RefCardPool>(loop_, name, of);
}

std::unique_ptr<PciDevice> DeviceFactory::make_refcard_aperture(const std::string& name,
                                                                ObjectReader& options)
{
    RefCard& of = card(options.string("of"));
    options.finish();
    return std::make_unique<RefCardAperture>(loop_, name, of);
}

RefCard& DeviceFactory::card(const std::string& name) const
{
    auto found = cards_.find(name);
    if (found == cards_.end())
        throw std::invalid_argument("no device before it is a \"refcard\" called \"" + name + "\"");
    return *found->second;
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
