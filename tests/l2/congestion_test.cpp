// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/receive_window.hpp"
#include "lib/l2/send_window.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <memory>
#include <queue>
#include <vector>

using namespace p2prdma::l2;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr std::uint32_t frame_bytes = 1514;
constexpr Time wire_delay = microseconds(5);

/// Many senders, each on a link of its own, and one switch that has a buffer of so many bytes
/// before the link to the receiver. All links are of 10 Gb/s.
class Incast {
public:
    Incast(std::size_t senders, std::size_t buffer, std::uint32_t bytes = frame_bytes)
        : budget_(1 << 30), buffer_(buffer), frame_(bytes), frame_time_(bytes * 8 / 10)
    {
        join(senders);
    }

    /// So many senders more begin now.
    void join(std::size_t senders)
    {
        for (std::size_t i = 0; i < senders; ++i)
            flows_.push_back(std::make_unique<Flow>(budget_, bytes()));
    }

    void run(Time until)
    {
        while (now_ < until) {
            for (; !events_.empty() && events_.top().at <= now_; events_.pop())
                happen(Event(events_.top()));
            for (std::size_t i = 0; i < flows_.size(); ++i)
                act(i);
            now_ = std::max(next_time(), now_ + Time(1));
        }
    }

    /// What is told below is of the time from now on.
    void begin_measurement()
    {
        began_ = now_;
        for (const auto& flow : flows_) {
            flow->got = 0;
            flow->before = flow->send.counters();
        }
    }
    /// Of the frames that got there: the largest share by the smallest.
    [[nodiscard]] double unfairness() const
    {
        const auto less = [](const auto& a, const auto& b) { return a->got < b->got; };
        const auto [least, most] = std::ranges::minmax_element(flows_, less);
        return static_cast<double>((*most)->got) / static_cast<double>((*least)->got);
    }
    [[nodiscard]] double again() const
    {
        const auto again =
            sum([](const Flow& flow) { return flow.send.counters().again - flow.before.again; });
        const auto frames =
            sum([](const Flow& flow) { return flow.send.counters().frames - flow.before.frames; });
        return static_cast<double>(again) / static_cast<double>(frames);
    }
    /// Part of the link's rate that was used.
    [[nodiscard]] double goodput() const
    {
        const auto got = sum([](const Flow& flow) { return flow.got; });
        return static_cast<double>(got) * static_cast<double>(frame_time_.count()) /
               static_cast<double>((now_ - began_).count());
    }

private:
    struct Flow {
        Flow(BufferBudget& budget, std::uint32_t bytes)
            : send({.frame_bytes = bytes}), receive({}, budget)
        {
        }
        SendWindow send;
        ReceiveWindow receive;
        Time link_free{};
        std::uint64_t got = 0;
        SendWindow::Counters before;
    };
    enum class Where { at_switch, at_receiver, at_sender };
    struct Event {
        Time at;
        std::uint64_t order;
        Where where;
        std::size_t flow;
        wire::Header header;
        ReceiveWindow::Report report;
        bool operator<(const Event& other) const
        {
            return at != other.at ? at > other.at : order > other.order;
        }
    };

    [[nodiscard]] std::uint32_t bytes() const { return static_cast<std::uint32_t>(frame_.size()); }

    template <class Of>
    [[nodiscard]] std::uint64_t sum(Of of) const
    {
        std::uint64_t all = 0;
        for (const auto& flow : flows_)
            all += of(*flow);
        return all;
    }

    void happen(Event event)
    {
        auto& flow = *flows_[event.flow];
        const auto& report = event.report;
        if (event.where == Where::at_switch)
            queue(event);
        else if (event.where == Where::at_receiver)
            receive(flow, event.header);
        else
            flow.send.acknowledged(report.ack, report.sack ? &*report.sack : nullptr,
                                   report.congested, now_);
    }

    void queue(Event event)
    {
        const auto queued = std::max(Time::zero(), switch_free_ - now_).count() * 10 / 8;
        if (static_cast<std::size_t>(queued) + frame_.size() > buffer_)
            return;
        switch_free_ = std::max(switch_free_, now_) + frame_time_;
        event.at = switch_free_ + wire_delay;
        event.where = Where::at_receiver;
        events_.push(event);
    }

    void receive(Flow& flow, const wire::Header& header)
    {
        if (flow.receive.arrived(header, frame_, now_) != ReceiveWindow::Arrival::process)
            return;
        do {
            flow.receive.processed(false, false, now_);
            ++flow.got;
        } while (flow.receive.held());
    }

    void act(std::size_t index)
    {
        auto& flow = *flows_[index];
        if (flow.receive.ack_due(now_))
            events_.push({now_ + 2 * wire_delay,
                          order_++,
                          Where::at_sender,
                          index,
                          {},
                          flow.receive.report(now_)});
        for (;;) {
            wire::Header header;
            const auto next = flow.send.next(now_, true, bytes());
            if (next == SendWindow::Next::fresh)
                header.psn = flow.send.sent({}, bytes(), now_);
            else if (next == SendWindow::Next::again)
                header.psn = flow.send.frame_again(now_).psn;
            else
                return;
            if (flow.send.wants_ack())
                header.flags = wire::ack_request;
            flow.link_free = std::max(flow.link_free, now_) + frame_time_;
            events_.push(
                {flow.link_free + wire_delay, order_++, Where::at_switch, index, header, {}});
        }
    }

    [[nodiscard]] Time next_time() const
    {
        auto at = events_.empty() ? Time::max() : events_.top().at;
        for (const auto& flow : flows_)
            at = std::min({at, flow->send.deadline(), flow->receive.deadline()});
        return at;
    }

    BufferBudget budget_;
    std::size_t buffer_;
    std::vector<std::unique_ptr<Flow>> flows_;
    std::priority_queue<Event> events_;
    std::vector<std::byte> frame_;
    Time frame_time_;
    Time now_{};
    Time began_{};
    Time switch_free_{};
    std::uint64_t order_ = 0;
};

/// They share the link fairly and waste little of it.
void check_shares(const Incast& incast, double least_goodput)
{
    CHECK(incast.unfairness() <= 2);
    CHECK(incast.again() <= 0.05);
    CHECK(incast.goodput() >= least_goodput);
}

} // namespace

TEST_CASE("R3.9: sixteen senders share a link fairly and lose little, whatever the switch buffers")
{
    for (const std::size_t buffer : {128U << 10U, 256U << 10U, 512U << 10U, 1024U << 10U}) {
        Incast incast(16, buffer);
        incast.run(milliseconds(80));
        INFO(buffer << " bytes");
        check_shares(incast, 0.95);
    }
}

TEST_CASE("R3.9: sixteen senders of jumbo frames do, too")
{
    for (const std::size_t buffer : {256U << 10U, 512U << 10U, 1024U << 10U}) {
        Incast incast(16, buffer, 9014);
        incast.run(milliseconds(80));
        INFO(buffer << " bytes");
        check_shares(incast, 0.95);
    }
}

TEST_CASE("R3.9: who begins while a queue stands gets his share, and no more, after 100 ms")
{
    const auto bytes = GENERATE(frame_bytes, 9014U);
    const auto senders = GENERATE(1U, 2U, 8U);
    const auto late = GENERATE(1U, 2U, 8U);
    for (const auto begins : {milliseconds(20), milliseconds(33), milliseconds(50)}) {
        Incast incast(senders, 512U << 10U, bytes);
        incast.run(begins);
        incast.join(late);
        incast.run(begins + milliseconds(100));
        incast.begin_measurement();
        incast.run(begins + milliseconds(150));
        INFO(senders << " and, after " << begins.count() << " ms, " << late << " of " << bytes
                     << " bytes");
        check_shares(incast, 0.9);
    }
}

TEST_CASE("Congestion: one or two senders fill a link")
{
    for (const std::size_t senders : {1U, 2U}) {
        Incast incast(senders, 512U << 10U);
        incast.run(milliseconds(80));
        CHECK(incast.goodput() >= 0.97);
        CHECK(incast.unfairness() <= 1.5);
    }
}

TEST_CASE("Congestion: grows only if it was what limited, and shrinks when nothing is heard")
{
    Congestion congestion(1024, frame_bytes);
    RoundTrip round_trip;
    const auto first = congestion.window();
    for (int i = 0; i < 100; ++i) {
        round_trip.sample(microseconds(20), microseconds(20 * i));
        CHECK(congestion.delivered(10, microseconds(20), round_trip, microseconds(20 * i)) ==
              Time::zero());
    }
    CHECK(congestion.window() == first);
    congestion.timed_out_again();
    CHECK(congestion.window() == first / 2);
}

namespace {

/// Sends as many frames as it may.
std::uint32_t send_window(SendWindow& send, Time now)
{
    std::uint32_t sent = 0;
    for (; send.next(now, true, frame_bytes) == SendWindow::Next::fresh; ++sent)
        (void)send.sent({}, frame_bytes, now);
    return sent;
}

} // namespace

TEST_CASE("Congestion: one timeout tells nothing, a second one shrinks the window")
{
    for (const auto timeouts : {0U, 1U, 2U}) {
        SendWindow send({});
        Time now = milliseconds(1);
        const auto first = send_window(send, now);
        while (send.counters().timeouts < timeouts) {
            now = send.deadline();
            if (send.next(now, true, frame_bytes) == SendWindow::Next::again)
                (void)send.frame_again(now);
        }
        REQUIRE(send.acknowledged({.next = send.next_psn()}, nullptr, false, now));
        CHECK(send_window(send, now) == (timeouts < 2 ? first : first / 2));
    }
}

TEST_CASE("Congestion: where hosts are slow, a time without anything to send lets nothing grow")
{
    const auto least = microseconds(300);
    Congestion congestion(2048, frame_bytes);
    RoundTrip path;
    Time now = milliseconds(1);
    const auto deliver = [&](Time sample) {
        path.sample(sample, now);
        return congestion.delivered(1, sample, path, now);
    };
    (void)deliver(least);
    for (unsigned yields = 0; yields < 3;) { // others' queue stands but for the yields
        now += microseconds(600);
        const auto pause = deliver(microseconds(600));
        if (pause <= now)
            continue;
        now = pause + least;
        (void)deliver(least);
        ++yields;
    }
    for (unsigned i = 0; i < 20; ++i)
        congestion.timed_out_again();
    const auto small = congestion.window();
    now += std::chrono::seconds(1);
    for (unsigned i = 0; i < 8; ++i) {
        congestion.limited();
        now += microseconds(40);
        (void)deliver(least);
    }
    CHECK(congestion.window() > small);
    CHECK(congestion.window() <= small + 32);
}
