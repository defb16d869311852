// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

namespace lab {

class EventLoop;

/// Address of an adapter on a fabric, in network byte order.
using Gid = std::array<std::uint8_t, 16>;

/// What travels between two ports. Header and payload mean something to the ports only.
struct Packet {
    Gid source{};
    Gid destination{};
    std::array<std::byte, 64> header{};
    std::vector<std::byte> payload; ///< at most Fabric::max_payload bytes
};

/// A packet belongs to whoever holds it last; its payload's memory is used again.
using PacketPtr = std::shared_ptr<Packet>;

/// An adapter's end of a fabric.
class FabricPort {
public:
    virtual ~FabricPort() = default;
    /// A packet has arrived.
    virtual void receive(PacketPtr packet) = 0;
    /// A packet that this port sent reached nobody: no port has its destination address.
    virtual void undeliverable(PacketPtr packet) = 0;
};

/// Joins the ports of adapters, of one machine or several, by their addresses.
///
/// Packets between two ports arrive in the order sent, each exactly once. Nothing is delivered
/// from inside send(): a port is called from the event loop only. Not thread-safe.
class Fabric {
public:
    static constexpr std::size_t max_payload = 32768;

    explicit Fabric(EventLoop& loop);
    ~Fabric();
    Fabric(const Fabric&) = delete;
    Fabric& operator=(const Fabric&) = delete;

    /// Connects a port, which stays valid until detach().
    /// @throws std::invalid_argument if the address is taken.
    void attach(const Gid& gid, FabricPort& port);
    /// Disconnects the port of `gid`; what is still under way to it becomes undeliverable.
    void detach(const Gid& gid);

    /// A packet whose payload has `payload_length` bytes of unspecified content.
    PacketPtr allocate(std::size_t payload_length);
    void send(PacketPtr packet);

    std::uint64_t packets() const { return packets_; } ///< delivered
    std::uint64_t bytes() const { return bytes_; }     ///< payload of those

private:
    struct Pool;

    void schedule();
    void deliver_some();
    void deliver(PacketPtr packet);

    EventLoop& loop_;
    std::map<Gid, FabricPort*> ports_;
    std::deque<PacketPtr> wire_;
    std::shared_ptr<Pool> pool_;
    bool scheduled_ = false;
    std::uint64_t packets_ = 0;
    std::uint64_t bytes_ = 0;
};

} // namespace lab
