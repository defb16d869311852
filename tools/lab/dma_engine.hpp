// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_map.hpp"
#include "tools/lab/posted_writes.hpp"
#include "tools/lab/route.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace lab {

class PciDevice;

/// What became of a DMA request.
struct DmaResult {
    int error = 0;     ///< 0, or an errno: EPERM (bus mastering off), EFAULT (nothing there)
    RouteBytes routes; ///< the bytes that were moved, by route
};

/// One piece of bus address space, as the device's driver gave it.
struct DmaSegment {
    std::uint64_t address;
    std::uint64_t length;
};

/// The connection to QEMU, as far as DMA needs it. Messages take effect in the order sent.
class DmaPort {
public:
    /// `error` is 0 or an errno. `data` is what was read, valid during the call.
    using Reply = std::function<void(int error, std::span<const std::byte> data)>;

    virtual ~DmaPort() = default;
    /// Bytes that one message can carry.
    virtual std::size_t max_transfer() const = 0;
    /// The reply comes later, from the event loop, or never if the connection is lost.
    virtual void send_read(std::uint64_t address, std::size_t length, Reply reply) = 0;
    virtual void send_write(std::uint64_t address, std::span<const std::byte> data,
                            Reply reply) = 0;
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
///
/// A write becomes visible with its first eight bytes last, as far as 64 bytes at a time go: a
/// reader that polls a flag there sees the rest too, as it would with one PCIe transaction.
class DmaEngine {
public:
    using Done = std::function<void(const DmaResult&)>;

    explicit DmaEngine(PciDevice& device);
    ~DmaEngine();
    DmaEngine(const DmaEngine&) = delete;
    DmaEngine& operator=(const DmaEngine&) = delete;

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

    /// The writes to other devices that are done for this one, but have not arrived there: tests
    /// delay them. What it reads from any device, and what goes by message, waits for them.
    PostedWrites& posted() { return posted_; }

    /// What QEMU mapped for this device.
    DmaMap& map() { return map_; }
    /// Where messages go; null while no QEMU is connected. The port outlives its use.
    void connect(DmaPort* port) { port_ = port; }

private:
    struct Request;
    struct Target;

    void start(Request& request);
    void advance_front();
    bool advance(Request& request);
    bool step(Request& request);
    Target resolve(std::uint64_t address, std::uint64_t length) const;
    void resolve_mapped(std::uint64_t address, Target& target) const;
    void copy(Request& request, const Target& target);
    void copy_to_peer(const Request& request, const Target& target,
                      std::span<const std::byte> data);
    void send(Request& request, Target& target);
    void replied(std::uint64_t epoch, std::uint64_t offset, std::uint64_t length, int error,
                 std::span<const std::byte> data);
    void complete(Request& request);

    PciDevice& device_;
    PostedWrites posted_;
    DmaMap map_;
    DmaPort* port_ = nullptr;
    std::deque<std::unique_ptr<Request>> queue_;
    bool advancing_ = false;
    std::uint64_t epoch_ = 0; ///< counts abort(): replies to what it dropped are ignored
    RouteBytes bytes_read_;
    RouteBytes bytes_written_;
    std::uint64_t errors_ = 0;
    std::uint64_t messages_ = 0;
};

} // namespace lab
