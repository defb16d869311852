// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/config.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>

namespace lab {

using nlohmann::json;

ObjectReader::ObjectReader(json object, std::string where)
    : json_(std::move(object)), where_(std::move(where))
{
    if (!json_.is_object())
        fail("is not an object");
}

void ObjectReader::fail(const std::string& what) const
{
    throw ConfigError(where_ + " " + what);
}

json ObjectReader::take(const std::string& key)
{
    auto it = json_.find(key);
    if (it == json_.end())
        return nullptr;
    json value = std::move(*it);
    json_.erase(it);
    return value;
}

std::string ObjectReader::string(const std::string& key)
{
    json value = take(key);
    if (value.is_null())
        fail("has no \"" + key + "\"");
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
        fail("has a \"" + key + "\" that is not text: " + value.dump());
    return value.get<std::string>();
}

std::uint64_t ObjectReader::number(const std::string& key)
{
    json value = take(key);
    if (value.is_null())
        fail("has no \"" + key + "\"");
    if (!value.is_number_unsigned() &&
        !(value.is_number_integer() && value.get<std::int64_t>() >= 0))
        fail("has a \"" + key + "\" that is not a whole number of at least 0: " + value.dump());
    return value.get<std::uint64_t>();
}

std::string ObjectReader::string_or(const std::string& key, const std::string& otherwise)
{
    bool there = json_.contains(key) && !json_[key].is_null();
    if (!there)
        take(key);
    return there ? string(key) : otherwise;
}

std::uint64_t ObjectReader::number_or(const std::string& key, std::uint64_t otherwise)
{
    bool there = json_.contains(key) && !json_[key].is_null();
    if (!there)
        take(key);
    return there ? number(key) : otherwise;
}

std::vector<json> ObjectReader::list(const std::string& key)
{
    json value = take(key);
    if (value.is_null())
        return {};
    if (!value.is_array())
        fail("has a \"" + key + "\" that is not a list");
    return value.get<std::vector<json>>();
}

void ObjectReader::finish() const
{
    if (!json_.empty())
        fail("has an unknown key \"" + json_.begin().key() + "\"");
}

namespace {

/// Throws if a name was seen before.
void must_be_new(std::set<std::string>& seen, const std::string& name, const std::string& what)
{
    if (!seen.insert(name).second)
        throw ConfigError(what + " \"" + name + "\" is used twice");
}

DeviceConfig parse_device(const json& object, const std::string& machine)
{
    ObjectReader reader(object, "a device of machine \"" + machine + "\"");
    DeviceConfig device;
    device.id = reader.string("id");
    device.type = reader.string("type");
    device.socket = reader.string("socket");
    device.switch_name = reader.string_or("switch", "");
    device.options = reader.rest();
    return device;
}

BarConfig parse_bar(const json& object, const std::string& machine)
{
    ObjectReader reader(object, "a BAR file of machine \"" + machine + "\"");
    BarConfig bar;
    bar.path = reader.string("path");
    bar.switch_name = reader.string_or("switch", "");
    reader.finish();
    return bar;
}

MachineConfig parse_machine(const json& object)
{
    ObjectReader reader(object, "a machine");
    MachineConfig machine;
    machine.name = reader.string("name");
    for (const auto& path : reader.list("ram")) {
        if (!path.is_string())
            throw ConfigError("machine \"" + machine.name + "\": \"ram\" is a list of paths");
        machine.ram.push_back(path.get<std::string>());
    }
    if (machine.ram.empty())
        throw ConfigError("machine \"" + machine.name +
                          "\" has no \"ram\": the paths of the files that are its memory");
    for (const auto& bar : reader.list("bars"))
        machine.bars.push_back(parse_bar(bar, machine.name));
    for (const auto& device : reader.list("devices"))
        machine.devices.push_back(parse_device(device, machine.name));
    reader.finish();
    return machine;
}

void check_names(const Config& config)
{
    std::set<std::string> machines;
    std::set<std::string> devices;
    std::set<std::string> sockets{config.control};
    for (const auto& machine : config.machines) {
        must_be_new(machines, machine.name, "the machine name");
        for (const auto& device : machine.devices) {
            must_be_new(devices, machine.name + "." + device.id, "the device");
            must_be_new(sockets, device.socket, "the socket");
        }
    }
}

} // namespace

Config parse_config(const json& object)
{
    ObjectReader reader(object, "the configuration");
    Config config;
    config.control = reader.string("control");
    for (const auto& machine : reader.list("machines"))
        config.machines.push_back(parse_machine(machine));
    reader.finish();
    check_names(config);
    return config;
}

Config read_config(const std::string& path)
{
    std::ifstream file(path);
    if (!file)
        throw ConfigError("cannot read " + path + ": " + std::strerror(errno));
    json object = json::parse(file, nullptr, false);
    if (object.is_discarded())
        throw ConfigError(path + " is not JSON");
    return parse_config(object);
}

} // namespace lab
