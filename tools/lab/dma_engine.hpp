// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/route.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

namespace lab {

class PciDevice;

/// What became of a DMA request.
struct DmaResult {
    int error = 0;      ///< 0, or an errno: EPERM (bus mastering off), EFAULT (nothing there)
    RouteBytes routes;  ///< the bytes that were moved, by route
};

/// One piece of bus address space, as the device's driver gave it.
struct DmaSegment {
    std::uint64_t address;
    std::uint64_t length;
};

/// How a device reaches memory: each device has one.
///
/// An address is resolved in this order:
///  1. a BAR of another device below the same switch (what the switch itself would route);
///  2. memory that QEMU mapped into this process with a descriptor (RAM, or a BAR of QEMU's own
///     devices): the copy happens here;
///  3. else a DMA_READ or DMA_WRITE message to QEMU, whose reply comes later.
///
/// Requests of one device take effect in the order issued, whatever their routes: a request
/// behind one that still waits for QEMU waits too. Nothing is moved while the function's
/// bus-master enable is off. `done` is called exactly once; before read() or write() returns if
/// nothing had to wait, else from the event loop. It is not called after the engine is gone.
class DmaEngine {
public:
    using Done = std::function<void(const DmaResult&)>;

    explicit DmaEngine(PciDevice& device);

    /// Reads the segments, in order, into `into`, which stays valid until `done` is called.
    /// The segments' lengths add up to into.size().
    void read(std::span<const DmaSegment> from, std::span<std::byte> into, Done done);
    /// Writes `data` to the segments. The data is copied if it cannot be written at once.
    void write(std::span<const DmaSegment> to, std::span<const std::byte> data, Done done);

    /// One-segment forms.
    void read(std::uint64_t address, std::span<std::byte> into, Done done);
    void write(std::uint64_t address, std::span<const std::byte> data, Done done);

    /// All that this engine moved since the last call of reset_counters().
    const RouteBytes& bytes_read() const { return bytes_read_; }
    const RouteBytes& bytes_written() const { return bytes_written_; }
    /// Requests that ended with an error.
    std::uint64_t errors() const { return errors_; }
    /// DMA_READ and DMA_WRITE messages sent to QEMU.
    std::uint64_t messages() const { return messages_; }
    void reset_counters();

    /// True if nothing waits.
    bool idle() const { return queue_.empty(); }
    /// Drops what waits, with ECANCELED: the function was reset or QEMU is gone.
    void abort();

private:
    struct Request;

    PciDevice& device_;
    std::deque<Request> queue_;
    RouteBytes bytes_read_;
    RouteBytes bytes_written_;
    std::uint64_t errors_ = 0;
    std::uint64_t messages_ = 0;
};

} // namespace lab
