// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/l2/mac_address.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace p2prdma::l2 {

/// What carries the frames.
enum class PortKind : std::uint8_t {
    automatic, ///< chosen from what the interface can do: Device::port_reason() tells why
    packet,    ///< AF_PACKET, many frames a system call: bandwidth
    ring,      ///< AF_PACKET with a small TPACKET_V2 ring: latency
    xdp,       ///< AF_XDP, zero-copy where the driver has it
};

[[nodiscard]] P2PRDMA_API const char* to_string(PortKind kind) noexcept;
[[nodiscard]] P2PRDMA_API std::optional<PortKind> parse_port_kind(std::string_view text) noexcept;

/// Who moves frames and timers on.
enum class Progress : std::uint8_t {
    thread, ///< a thread of the device's, which sleeps while nothing happens; and whoever polls
    caller, ///< only calls of this library: CompletionQueue::poll() and Device::progress(). A
            ///< peer's requests wait until the next such call
};

/// What to do when a page that a peer's request needs is not there.
enum class FaultMode : std::uint8_t {
    delay, ///< page-fault delay (R7): the peer is told to wait, and sends nothing twice
    rnr,   ///< as adapters without it do: the frame is dropped, the peer sends again after a time
};

/// What Device::open() makes of an interface.
struct DeviceOptions {
    std::uint16_t ether_type = 0x88b5;      ///< IEEE 802 local experimental 1
    std::optional<std::uint16_t> vlan = {}; ///< 1 to 4094: frames carry this tag
    PortKind port = PortKind::automatic;
    bool favour_latency = false; ///< for PortKind::automatic
    Progress progress = Progress::thread;
    FaultMode faults = FaultMode::delay; ///< negotiated: rnr if either end wants that
    std::uint32_t frame_limit = 0;       ///< bytes of a frame, headers included; 0: the link's MTU
    std::string name = {};               ///< told to those who discover; default: the host's name
    std::vector<std::byte> secret = {};  ///< 32 bytes: peers and frames are authenticated
    bool trust_segment = false;          ///< peers without the secret may connect although the
                                         ///< interface is a port of a bridge (R3.7)
    std::chrono::microseconds fault_limit{5'000'000}; ///< T_max: an access ends in error after
                                                      ///< that; one at a peer's, an estimate later
    std::uint32_t fault_buffer =
        1024 * 1024; ///< bytes that a queue pair may hold while it waits (B)
    std::uint32_t buffer_limit = 64 * 1024 * 1024; ///< bytes that all may hold together (G)
    unsigned fault_threads = 2;                    ///< that bring pages
    unsigned max_queue_pairs = 16384;
    std::chrono::milliseconds keep_alive{1000}; ///< silence after which a peer is asked for a sign
    std::chrono::milliseconds dead_after{5000}; ///< silence after which it counts as gone
    double lose =
        0; ///< for tests: of the frames sent, so many (0 to 1) are dropped before the wire
    std::uint64_t lose_seed = 1;
};

/// Somebody who answered: see Device::discover().
struct Peer {
    MacAddress address;
    std::string name;
    std::uint32_t service = 0;
    std::uint32_t frame_limit = 0;
    bool authenticated = false; ///< it knows the secret
    bool fault_delay = false;   ///< FaultMode::delay
};

/// Names and values of all counters, such as "frames_sent", "retransmitted", "bad_icrc".
using Statistics = std::vector<std::pair<std::string, std::uint64_t>>;

/// An Ethernet interface as an adapter: one Device at a time for an interface, EtherType and VLAN.
/// Needs CAP_NET_RAW; PortKind::xdp also CAP_NET_ADMIN and CAP_BPF. Move-only; the objects made
/// with it keep what they need of it.
///
/// Thread-safety: all calls of this library are, but that one queue pair's send queue is posted to
/// by one thread at a time, its receive queue likewise, and a completion queue is polled by one.
class P2PRDMA_API Device final {
public:
    /// \throws Error  no such interface, down, not permitted, the kind of port is not possible here
    static Device open(const std::string& interface, const DeviceOptions& options = {});

    Device(Device&&) noexcept;
    Device& operator=(Device&&) noexcept;
    ~Device();

    [[nodiscard]] MacAddress address() const noexcept;
    [[nodiscard]] const std::string& interface() const noexcept;
    [[nodiscard]] PortKind port() const noexcept;
    /// One sentence: what carries the frames, and why that.
    [[nodiscard]] std::string port_reason() const;
    [[nodiscard]] std::uint32_t frame_limit() const noexcept; ///< bytes, headers included
    [[nodiscard]] Statistics statistics() const;

    /// Asks the segment who serves `service` (0: anything), and collects answers until `wait`.
    [[nodiscard]] std::vector<Peer> discover(std::uint32_t service, std::chrono::milliseconds wait);

    /// Moves frames and timers on, once. Needed with Progress::caller only. Whether there was work.
    bool progress() noexcept;
    /// For Progress::caller: readable when progress() has work, with the time of the next timer.
    /// Made at the first call, which costs some speed from then on; -1: no descriptor is left.
    [[nodiscard]] int fd() const noexcept;
    [[nodiscard]] std::chrono::steady_clock::time_point due() const noexcept;

    struct State; ///< for the objects of this library
    [[nodiscard]] const std::shared_ptr<State>& state() const noexcept { return state_; }
    explicit Device(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

private:
    std::shared_ptr<State> state_;
};

} // namespace p2prdma::l2
