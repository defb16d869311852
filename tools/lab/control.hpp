// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/unique_fd.hpp"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace lab {

class EventLoop;
class LabServer;

/// The control socket: tests look at devices, and make them do things.
///
/// One request is one line, a JSON object {"cmd": NAME, ...}; its reply is one line,
/// {"ok": true, ...} or {"ok": false, "error": "one sentence"}. A client's requests are answered
/// in order. Devices are named "machine.device". The commands:
///
///     ping
///     devices                              {"devices": {NAME: {"type", "connected"}}}
///     counters [device]                    {"devices": {NAME: {"connected", "dma", "interrupts",
///                                            "registers", "messages", "refused", "model"}}}
///     reset-counters [device]
///     violations [device] [take]           {"violations": [{"device", "kind", "count", "first"}]}:
///                                            what must not happen; "take": true forgets it
///     peer-write device address data       DMA by the device; data in hexadecimal digits.
///     peer-read device address length      {"data"}; both: {"routes": {ROUTE: bytes}}
///     raise device vector                  the device raises MSI-X vector `vector`
///     device device request                what PciDevice::control() makes of the request
///
/// `dma` is {"read": {ROUTE: bytes}, "write": {ROUTE: bytes}, "messages", "errors"}; `registers`
/// counts the accesses that came as messages, {"bar0": {"reads", "writes"}, ...}; `messages` counts
/// vfio-user messages by kind, and their "total".
class ControlServer {
public:
    /// Listens at `path`. `server` outlives this object. Throws std::system_error.
    ControlServer(EventLoop& loop, LabServer& server, std::string path);
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

private:
    class Client;
    using Reply = std::function<void(const nlohmann::json&)>;

    void accept();
    /// Serves one request; `reply` is called once, perhaps later.
    void serve(const std::string& line, const Reply& reply);

    EventLoop& loop_;
    LabServer& server_;
    std::string path_;
    UniqueFd listener_;
    std::unordered_map<int, std::shared_ptr<Client>> clients_;
};

} // namespace lab
