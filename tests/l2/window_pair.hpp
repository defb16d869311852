// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/receive_window.hpp"
#include "lib/l2/send_window.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <random>
#include <span>
#include <vector>

/// A sender's and a receiver's window joined by a bad line, in virtual time: all that happens
/// depends on the seed alone.
namespace p2prdma::l2::test {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// What the line does to frames of one direction.
struct Line {
    Time delay = microseconds(50);
    Time jitter{};     ///< up to so much more, each frame its own: reorders
    Time frame_time{}; ///< for which a frame occupies the line; 0: none
    double loss = 0;
    double duplication = 0;
    std::uint32_t overtaken_by = 0; ///< frames are now and then held back behind up to so many
};

struct Faults {
    double probability = 0; ///< of each frame
    Time shortest = microseconds(100);
    Time longest = milliseconds(5);
    std::uint32_t at = UINT32_MAX; ///< this frame, too
    double estimate_error = 1;     ///< factor: the estimate is the truth times this
};

struct Setup {
    std::uint64_t seed = 1;
    std::uint32_t frames = 300; ///< to be carried
    std::uint32_t frame_bytes = 1514;
    std::uint32_t batch = 16; ///< the application has so many more at a time
    Time every{};             ///< ...each of these; 0: all at once
    Line forth;
    Line back;
    Faults faults;
    SendWindow::Config send;
    ReceiveWindow::Config receive;
    std::size_t budget = 1U << 30U;
    double not_ready = 0; ///< probability that there is no posted receive
    Time limit = std::chrono::seconds(100);
};

/// What travels.
struct Message {
    wire::Header header;
    std::uint32_t cookie = 0; ///< the content: the number of the frame among all
    std::optional<wire::Ack> ack;
    std::optional<wire::Sack> sack;
    std::optional<wire::Fault> fault;
    bool congested = false;
};

class WindowPair {
public:
    explicit WindowPair(const Setup& setup);

    /// Until all frames were processed and acknowledged, the connection failed, or time is up.
    void run();

    [[nodiscard]] bool complete() const { return acknowledged_ == setup_.frames; }
    [[nodiscard]] bool in_order() const { return in_order_; }
    [[nodiscard]] std::uint32_t processed() const { return processed_; }
    [[nodiscard]] Time now() const { return now_; }
    /// When frame i was processed, and when it was first sent.
    [[nodiscard]] Time processed_at(std::uint32_t i) const { return processed_at_[i]; }
    [[nodiscard]] Time sent_at(std::uint32_t i) const { return sent_at_[i]; }
    [[nodiscard]] std::size_t most_buffered() const { return most_buffered_; }

    SendWindow sender;
    BufferBudget budget;
    ReceiveWindow receiver;
    std::uint64_t reports = 0; ///< frames of acknowledgement
    std::uint64_t delays = 0;  ///< of them, with a delay
    Time resolved{};           ///< when the last page came
    std::uint64_t dropped = 0; ///< by the receiver
    std::uint64_t losses = 0;  ///< of the line
    /// Called for each frame that enters the line; true: it is lost.
    std::function<bool(const Message&, bool forth)> lose;

private:
    struct Event {
        Time at;
        std::uint64_t order;
        bool forth;
        Message message;
        bool operator<(const Event& other) const
        {
            return at != other.at ? at > other.at : order > other.order;
        }
    };

    void put_on_line(const Message& message, bool forth);
    void enqueue(const Message& message, bool forth);
    void deliver(const Event& event);
    void take_data(const Message& message);
    void take_report(const Message& message);
    void process(std::span<const std::byte> frame);
    void drain();
    void send_all();
    void report();
    [[nodiscard]] bool fresh_available() const;
    [[nodiscard]] Time next_time() const;
    [[nodiscard]] bool chance(double probability);

    Setup setup_;
    std::mt19937_64 random_;
    std::priority_queue<Event> events_;
    std::array<Time, 2> line_free_{};
    std::vector<Time> processed_at_;
    std::vector<Time> sent_at_;
    Time now_{};
    Time resolved_at_ = Time::max();
    std::uint64_t order_ = 0;
    std::uint32_t sent_ = 0;
    std::uint32_t processed_ = 0;
    std::uint32_t acknowledged_ = 0;
    std::uint32_t faulted_ = UINT32_MAX; ///< the frame whose page came last
    std::size_t most_buffered_ = 0;
    bool in_order_ = true;
};

} // namespace p2prdma::l2::test
