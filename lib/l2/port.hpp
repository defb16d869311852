// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/device.hpp"
#include "p2prdma/l2/mac_address.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace p2prdma::l2 {

/// Time since some beginning; real or simulated. Never read from a clock inside the engine.
using Time = std::chrono::nanoseconds;

/// A frame to be sent, in pieces: prefix, up to max_segments pieces of payload, suffix.
struct Outgoing {
    std::array<std::span<const std::byte>, 6> pieces = {};
    std::size_t count = 0;
};

/// What carries frames: Ethernet frames from the destination address on, without FCS. Only frames
/// of the EtherType (and VLAN) that it was opened for come in; frames of our own do not come back.
///
/// Thread-safety: one thread at a time.
class Port {
public:
    virtual ~Port() = default;
    Port() = default;
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    [[nodiscard]] virtual MacAddress address() const noexcept = 0;
    /// The longest frame now, in bytes, headers included; follows the link's MTU.
    [[nodiscard]] virtual std::uint32_t frame_limit() const noexcept = 0;
    [[nodiscard]] virtual PortKind kind() const noexcept = 0;
    [[nodiscard]] virtual std::string reason() const = 0; ///< one sentence
    /// How many it takes and gives at once with good effect.
    [[nodiscard]] virtual std::size_t batch() const noexcept { return 64; }

    /// Sends the first of these; returns how many. Less than all: there is no room now, or the link
    /// is down (then what was not sent is as good as lost). The pieces may be reused on return.
    virtual std::size_t send(std::span<const Outgoing> frames) noexcept = 0;
    /// Takes frames that have come. They are valid until the next receive().
    virtual std::size_t receive(std::span<std::span<const std::byte>> frames) noexcept = 0;
    /// Readable while frames wait; -1: there is none (simulation).
    [[nodiscard]] virtual int fd() const noexcept = 0;
    /// Called a few times a second: sees link changes (MTU, up or down, the interface gone).
    virtual void look() noexcept {}
    [[nodiscard]] virtual bool is_up() const noexcept { return true; }
    /// Counters of this port's: frames dropped by the kernel, ring full...
    [[nodiscard]] virtual Statistics statistics() const { return {}; }
};

} // namespace p2prdma::l2
