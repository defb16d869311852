// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/fabric.hpp"

#include "tools/lab/event_loop.hpp"

#include <stdexcept>
#include <utility>

namespace lab {

namespace {

/// Packets delivered before other work of the event loop gets its turn.
constexpr std::size_t delivery_batch = 32;
/// Idle packets kept for reuse.
constexpr std::size_t pool_limit = 256;

} // namespace

struct Fabric::Pool {
    std::vector<std::unique_ptr<Packet>> idle;

    std::unique_ptr<Packet> take()
    {
        if (idle.empty())
            return std::make_unique<Packet>();
        auto packet = std::move(idle.back());
        idle.pop_back();
        return packet;
    }

    void give(std::unique_ptr<Packet> packet)
    {
        if (idle.size() < pool_limit)
            idle.push_back(std::move(packet));
    }
};

Fabric::Fabric(EventLoop& loop) : loop_(loop), pool_(std::make_shared<Pool>()) {}

Fabric::~Fabric() = default;

void Fabric::attach(const Gid& gid, FabricPort& port)
{
    if (!ports_.emplace(gid, &port).second)
        throw std::invalid_argument("two adapters of one fabric have the same GID");
}

void Fabric::detach(const Gid& gid)
{
    ports_.erase(gid);
}

PacketPtr Fabric::allocate(std::size_t payload_length)
{
    if (payload_length > max_payload)
        throw std::length_error("a fabric packet's payload is too long");
    auto packet = pool_->take();
    packet->payload.resize(payload_length);
    // A packet may outlive the fabric in somebody's callback; then it is simply freed.
    return {packet.release(), [pool = std::weak_ptr<Pool>(pool_)](Packet* done) {
                std::unique_ptr<Packet> owned(done);
                if (auto alive = pool.lock())
                    alive->give(std::move(owned));
            }};
}

/// The one entrance to the wire. Delay, rate, loss and reordering belong here.
void Fabric::send(PacketPtr packet)
{
    wire_.push_back(std::move(packet));
    schedule();
}

void Fabric::schedule()
{
    if (scheduled_)
        return;
    scheduled_ = true;
    loop_.post([this, alive = std::weak_ptr<Pool>(pool_)] {
        if (!alive.expired())
            deliver_some();
    });
}

void Fabric::deliver_some()
{
    scheduled_ = false;
    for (std::size_t i = 0; i < delivery_batch && !wire_.empty(); ++i) {
        PacketPtr packet = std::move(wire_.front());
        wire_.pop_front();
        deliver(std::move(packet));
    }
    if (!wire_.empty())
        schedule();
}

void Fabric::deliver(PacketPtr packet)
{
    if (auto to = ports_.find(packet->destination); to != ports_.end()) {
        ++packets_;
        bytes_ += packet->payload.size();
        to->second->receive(std::move(packet));
    } else if (auto from = ports_.find(packet->source); from != ports_.end()) {
        from->second->undeliverable(std::move(packet));
    }
}

} // namespace lab
