// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <nlohmann/json.hpp>

#include <stdexcept>
#include <string>
#include <vector>

namespace lab {

/// The configuration makes no sense; what() is one sentence that names where and why.
class ConfigError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// One device of a machine, to be modelled.
struct DeviceConfig {
    std::string id;
    std::string type;
    std::string socket;      ///< path of the vfio-user socket
    std::string switch_name; ///< empty: below a root port of its own
    nlohmann::json options;  ///< the type's own keys
};

/// A file behind a BAR of one of QEMU's own devices.
struct BarConfig {
    std::string path;
    std::string switch_name;
};

struct MachineConfig {
    std::string name;
    std::vector<std::string> ram; ///< files that are the machine's memory; at least one
    std::vector<BarConfig> bars;
    std::vector<DeviceConfig> devices;
};

/// What the lab server models.
struct Config {
    std::string control; ///< path of the control socket
    std::vector<MachineConfig> machines;
};

/// Checks and takes over a configuration: unknown keys, wrong types, and names or sockets used
/// twice are refused. Device types and their options are for make_device() to check.
/// Throws ConfigError.
Config parse_config(const nlohmann::json& json);

/// Reads the file at `path`. Throws ConfigError, also if it cannot be read or is not JSON.
Config read_config(const std::string& path);

/// Takes an object's values one by one, and knows which are left.
class ObjectReader {
public:
    /// `where` names the object in errors. Throws ConfigError if `json` is no object.
    ObjectReader(nlohmann::json object, std::string where);

    /// The value of a key that must be there. Throws ConfigError.
    std::string string(const std::string& key);
    std::uint64_t number(const std::string& key);
    /// The value of a key that may be absent or null.
    std::string string_or(const std::string& key, const std::string& otherwise);
    std::uint64_t number_or(const std::string& key, std::uint64_t otherwise);
    /// The elements of a list; empty if the key is absent or null.
    std::vector<nlohmann::json> list(const std::string& key);

    /// What was not taken.
    nlohmann::json rest() const { return json_; }
    /// Throws ConfigError if anything was not taken.
    void finish() const;

private:
    nlohmann::json take(const std::string& key);
    [[noreturn]] void fail(const std::string& what) const;

    nlohmann::json json_;
    std::string where_;
};

} // namespace lab
