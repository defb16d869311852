// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/frame_filter.hpp"
#include "lib/l2/frame_pool.hpp"
#include "lib/l2/port.hpp"
#include "lib/l2/random.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace p2prdma::l2 {

class MemoryPort;

/// What goes wrong in one direction of a link; probabilities are per frame, 0 to 1.
struct Impairments {
    double lose = 0;
    double duplicate = 0;
    double corrupt = 0;      ///< one random bit is flipped
    double reorder = 0;      ///< the frame is overtaken by 1 to reorder_by later ones,
    unsigned reorder_by = 1; ///< or by as many as come within reorder_time
    Time reorder_time = std::chrono::microseconds(100);
};

/// A cable between a station and the switch.
struct LinkOptions {
    std::uint64_t bits_per_second = 0; ///< 0: no limit
    Time delay = {};                   ///< of each direction
    std::uint32_t frame_limit = 1514;  ///< bytes, headers included, tag not
    std::size_t send_queue =
        std::size_t{256} * 1024; ///< bytes that wait for the cable before send() says no
    std::size_t receive_queue =
        std::size_t{4} * 1024 * 1024; ///< bytes that wait for receive() before loss
    Impairments to_switch = {};
    Impairments to_station = {};
};

struct NetworkOptions {
    std::size_t output_buffer = 0; ///< bytes that may wait for one link; 0: no limit
    std::size_t shared_buffer = 0; ///< bytes that may wait for all links; 0: no limit
    bool pad = true;               ///< frames below 60 bytes are padded, as on copper
};

/// An Ethernet segment in virtual time: stations with a link each, joined by one switch that
/// learns addresses. The same seed and calls give the same frames at the same times.
///
/// Every frame of a link costs 24 bytes more than its length (preamble, FCS, gap). It outlives its
/// ports. Thread-safety: one thread at a time.
class Network {
public:
    struct Counters {
        std::uint64_t sent = 0;      ///< taken from a station, or injected
        std::uint64_t delivered = 0; ///< put into a station's receive queue
        std::uint64_t lost = 0;      ///< Impairments::lose
        std::uint64_t dropped = 0;   ///< drop_if()
        std::uint64_t duplicated = 0;
        std::uint64_t reordered = 0;
        std::uint64_t corrupted = 0;
        std::uint64_t overflowed = 0; ///< no buffer left in the switch
        std::uint64_t too_long = 0;   ///< for the link, at either end
        std::uint64_t link_down = 0;
        std::uint64_t queue_full = 0; ///< the station did not receive() in time
        std::uint64_t unwanted = 0;   ///< another EtherType, VLAN or address
    };
    /// A frame that enters the network, seen before anything happens to it.
    struct Entering {
        Time time;
        const MemoryPort& from;
        std::span<const std::byte> bytes;
    };

    explicit Network(std::uint64_t seed, const NetworkOptions& options = {});
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    /// A station. Its destruction pulls the cable.
    [[nodiscard]] std::unique_ptr<MemoryPort>
    attach(const MacAddress& address, const LinkOptions& link = {}, const FrameFilter& filter = {});

    /// The time: of the latest deliver(), or of the frame that it is delivering.
    [[nodiscard]] Time now() const noexcept { return now_; }
    /// When something happens next; Time::max() if nothing is under way.
    [[nodiscard]] Time next() const noexcept;
    /// Moves time on to `now` and all frames as far as they come until then.
    void deliver(Time now);

    /// A frame with any content, as if the station had sent it.
    void inject(const MemoryPort& at, std::span<const std::byte> bytes);
    /// Loses the frames for which it returns true. Empty: none.
    void drop_if(std::function<bool(const Entering&)> predicate)
    {
        drop_if_ = std::move(predicate);
    }
    /// Is told all frames that enter, also those that will be lost. Empty: nobody.
    void watch(std::function<void(const Entering&)> watcher) { watch_ = std::move(watcher); }

    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    /// Frames that are in the network or wait for receive().
    [[nodiscard]] std::size_t frames_held() const noexcept { return pool_.in_use(); }

private:
    friend class MemoryPort;

    enum class Step : std::uint8_t {
        at_switch,
        leaves_switch,
        at_station,
        late_to_switch,
        late_to_station
    };
    struct Event {
        Time time;
        std::uint64_t order; // of equal times: first in, first out; names a held frame, too
        std::uint32_t link;
        std::uint32_t frame;
        Step step;
    };
    struct Held {
        std::uint64_t order;
        std::uint32_t frame;
        unsigned overtakers; // still to come
    };
    struct Direction {
        Impairments impairments;
        Time busy_until = {};
        std::vector<Held> held;
    };
    struct Link {
        MacAddress address;
        LinkOptions options;
        FrameFilter filter;
        MemoryPort* port = nullptr; // none: the cable was pulled
        bool up = true;
        Direction to_switch, to_station;
        std::size_t waiting = 0; // bytes in the switch for this link
        std::deque<std::uint32_t> received;
        std::size_t received_bytes = 0;
    };

    [[nodiscard]] bool send(std::uint32_t link, const Outgoing& frame);
    [[nodiscard]] bool has_room(const Link& link) const noexcept;
    void enter(std::uint32_t link, std::uint32_t frame);
    void schedule(Time time, Step step, std::uint32_t link, std::uint32_t frame);
    [[nodiscard]] Time transmit(const Link& link, Direction& direction, std::size_t bytes) noexcept;
    void happen(const Event& event);
    void arrive(std::uint32_t link, bool at_switch, std::uint32_t frame);
    void hold(std::uint32_t link, bool at_switch, std::uint32_t frame);
    void overtake(std::uint32_t link, bool at_switch);
    void release_late(const Event& event);
    void pass(std::uint32_t link, bool at_switch, std::uint32_t frame);
    void flip_a_bit(std::uint32_t frame) noexcept;
    void learn(std::uint32_t link, std::span<const std::byte> frame);
    void route(std::uint32_t from, std::uint32_t frame);
    void flood(std::uint32_t from, std::uint32_t frame);
    void output(std::uint32_t link, std::uint32_t frame);
    void receive(Link& link, std::uint32_t frame);
    [[nodiscard]] bool accepts(const Link& link, std::span<const std::byte> frame) noexcept;
    void discard(std::uint32_t frame, std::uint64_t& counter);
    [[nodiscard]] static std::uint32_t limit(const Link& link) noexcept;

    NetworkOptions options_;
    Random random_;
    FramePool pool_;
    std::vector<std::unique_ptr<Link>> links_;
    std::unordered_map<std::uint64_t, std::uint32_t> stations_; // address -> link
    std::vector<Event> events_;                                 // a heap, the earliest at the front
    std::uint64_t order_ = 0;
    Time now_ = {};
    std::size_t waiting_ = 0; // bytes in the switch
    std::function<bool(const Entering&)> drop_if_;
    std::function<void(const Entering&)> watch_;
    Counters counters_;
};

} // namespace p2prdma::l2
