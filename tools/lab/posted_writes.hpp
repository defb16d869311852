// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/event_loop.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace lab {

class PciDevice;

/// A device's writes to its peers that are on their way: what a test uses to show which reader
/// sees data too early. PCIe lets a posted write take its time, and what the device does elsewhere,
/// as writing to host memory or telling another machine, does not wait for it. Off by default:
/// then nothing is held.
class PostedWrites {
public:
    struct Delay {
        std::chrono::milliseconds time{0}; ///< 0: none
        /// Writes of no more bytes are not held, and overtake those that are: more than PCIe
        /// allows. 0: the order is kept.
        std::size_t longer_than = 0;
    };

    explicit PostedWrites(PciDevice& owner) : owner_(owner) {}
    ~PostedWrites();
    PostedWrites(const PostedWrites&) = delete;
    PostedWrites& operator=(const PostedWrites&) = delete;

    /// From now on; what is held lands first.
    void set_delay(const Delay& delay);
    /// True if a write of `size` bytes is to be held.
    bool holds(std::size_t size) const
    {
        return delay_.time.count() != 0 && size > delay_.longer_than;
    }
    /// True if a write of `size` bytes may go first, whatever is held.
    bool overtaken_by(std::size_t size) const { return size <= delay_.longer_than; }
    /// Takes a copy.
    void hold(PciDevice& peer, unsigned bar, std::uint64_t offset, std::span<const std::byte> data);
    /// All that is held reaches its peers: a read pushes it, and so does time.
    void land();

private:
    using Clock = std::chrono::steady_clock;
    struct Write {
        PciDevice* peer;
        unsigned bar;
        std::uint64_t offset;
        std::vector<std::byte> data;
        Clock::time_point due;
    };

    void land_first();
    void land_due();
    void start_timer();

    PciDevice& owner_;
    Delay delay_;
    std::deque<Write> held_;
    EventLoop::TimerId timer_ = 0;
};

} // namespace lab
