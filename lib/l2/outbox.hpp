// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/counters.hpp"
#include "lib/l2/port.hpp"
#include "lib/l2/wire.hpp"
#include "p2prdma/l2/request.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace p2prdma::l2 {

class Sealer;

/// Where the payload of a frame lies.
struct Payload {
    std::array<std::span<const std::byte>, max_segments> pieces = {};
    std::size_t count = 0;
    std::size_t bytes = 0;

    void add(std::span<const std::byte> piece) noexcept
    {
        pieces[count++] = piece;
        bytes += piece.size();
    }
};

/// Gathers frames of all queue pairs, so that the port sends many at once. What the port has no
/// room for stays, with a copy of its payload, and nothing is added until it is gone.
/// Thread-safety: the engine's.
class Outbox {
public:
    Outbox(Port& port, Counters& counters, const DeviceOptions& options);

    /// Of frames that are added from now on.
    [[nodiscard]] const MacAddress& source() const noexcept { return source_; }
    void set_source(const MacAddress& address) noexcept { source_ = address; }

    /// Nothing can be added before the next flush() that succeeds.
    [[nodiscard]] bool full() const noexcept
    {
        return blocked_ || count_ == frames_.size() || bytes_ >= near_bytes;
    }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    /// Room for the next frame's payload, where it must be copied; empty: no memory.
    [[nodiscard]] std::span<std::byte> staging(std::size_t bytes) noexcept;
    /// Adds a frame: `head` says all but source address, VLAN and payload length. The payload stays
    /// untouched until flush(). \param sealer  nullptr: without
    void push(wire::Frame& head, const Payload& payload, Sealer* sealer) noexcept;
    /// False: something is left, as there was no room for it.
    bool flush() noexcept;

private:
    /// What a CRC was just made of is still near the processor when the kernel copies it.
    static constexpr std::size_t near_bytes = std::size_t{128} * 1024;

    struct Slot {
        std::array<std::byte, wire::max_prefix> prefix;
        std::array<std::byte, wire::seal_size + wire::crc_size> suffix;
        std::unique_ptr<std::byte[]> staging;
        std::size_t staging_size = 0;
    };

    void finish(Slot& slot, Outgoing& frame, std::size_t ethernet, Sealer* sealer) noexcept;
    void keep(std::size_t from) noexcept;
    void keep(Slot& slot, Outgoing& frame) noexcept;

    Port& port_;
    Counters& counters_;
    std::uint16_t ether_type_;
    std::optional<std::uint16_t> vlan_;
    MacAddress source_;
    std::vector<Slot> slots_;
    std::vector<Outgoing> frames_;
    std::size_t count_ = 0, sent_ = 0, kept_ = 0, bytes_ = 0;
    bool blocked_ = false;
};

} // namespace p2prdma::l2
