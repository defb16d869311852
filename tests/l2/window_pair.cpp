// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/window_pair.hpp"

#include <algorithm>
#include <cstring>

namespace p2prdma::l2::test {

WindowPair::WindowPair(const Setup& setup)
    : sender(setup.send), budget(setup.budget), receiver(setup.receive, budget), setup_(setup),
      random_(setup.seed), processed_at_(setup.frames), sent_at_(setup.frames)
{
}

bool WindowPair::chance(double probability)
{
    return probability > 0 && std::bernoulli_distribution(probability)(random_);
}

void WindowPair::put_on_line(const Message& message, bool forth)
{
    const auto& line = forth ? setup_.forth : setup_.back;
    if (chance(line.loss) || (lose && lose(message, forth))) {
        ++losses;
        return;
    }
    enqueue(message, forth);
    if (chance(line.duplication))
        enqueue(message, forth);
}

void WindowPair::enqueue(const Message& message, bool forth)
{
    const auto& line = forth ? setup_.forth : setup_.back;
    auto& free = line_free_[forth];
    free = std::max(free, now_) + line.frame_time;
    auto at = free + line.delay;
    if (line.jitter != Time::zero())
        at += Time(std::uniform_int_distribution<Time::rep>(0, line.jitter.count())(random_));
    if (line.overtaken_by != 0 && chance(0.02))
        at += line.frame_time *
              std::uniform_int_distribution<std::uint32_t>(1, line.overtaken_by)(random_);
    events_.push({at, order_++, forth, message});
}

void WindowPair::take_data(const Message& message)
{
    if (message.header.opcode == wire::Opcode::probe) {
        receiver.ask(now_);
        return;
    }
    std::vector<std::byte> frame(setup_.frame_bytes);
    std::memcpy(frame.data(), &message.cookie, sizeof(message.cookie));
    switch (receiver.arrived(message.header, frame, now_)) {
    case ReceiveWindow::Arrival::process:
        process(frame);
        drain();
        break;
    case ReceiveWindow::Arrival::dropped:
        ++dropped;
        break;
    default:
        break;
    }
    most_buffered_ = std::max(most_buffered_, receiver.buffered());
}

void WindowPair::process(std::span<const std::byte> frame)
{
    std::uint32_t number = 0;
    std::memcpy(&number, frame.data(), sizeof(number));
    in_order_ = in_order_ && number == processed_;
    if (chance(setup_.not_ready)) {
        receiver.not_ready(100, now_);
        return;
    }
    if (faulted_ != processed_ &&
        (processed_ == setup_.faults.at || chance(setup_.faults.probability))) {
        const auto& faults = setup_.faults;
        const auto lasts = Time(std::uniform_int_distribution<Time::rep>(
            faults.shortest.count(), faults.longest.count())(random_));
        const auto estimate = static_cast<double>(lasts.count()) * faults.estimate_error / 1000;
        faulted_ = processed_;
        if (receiver.stall(frame, static_cast<std::uint32_t>(estimate), now_))
            resolved_at_ = now_ + lasts;
        return;
    }
    if (processed_ < setup_.frames)
        processed_at_[processed_] = now_;
    ++processed_;
    receiver.processed(processed_ % 8 == 0, false, now_);
}

void WindowPair::drain()
{
    for (auto before = processed_ - 1; before != processed_;) {
        before = processed_;
        if (const auto frame = receiver.held())
            process(*frame);
    }
}

void WindowPair::take_report(const Message& message)
{
    const auto& sack = message.sack;
    if (!sender.acknowledged(*message.ack, sack ? &*sack : nullptr, message.congested, now_))
        in_order_ = false; // an honest peer's acknowledgements are never impossible
    if (message.ack->syndrome == wire::Syndrome::receiver_not_ready)
        sender.not_ready(message.header.psn, microseconds(message.fault->estimate), now_);
    else if (message.fault)
        sender.fault(*message.fault, now_);
    acknowledged_ = sent_ - sender.under_way();
}

void WindowPair::deliver(const Event& event)
{
    if (event.forth)
        take_data(event.message);
    else
        take_report(event.message);
}

bool WindowPair::fresh_available() const
{
    if (sent_ >= setup_.frames)
        return false;
    if (setup_.every == Time::zero())
        return true;
    return sent_ / setup_.batch <= static_cast<std::uint64_t>(now_ / setup_.every);
}

void WindowPair::send_all()
{
    for (;;) {
        Message message;
        switch (sender.next(now_, fresh_available(), setup_.frame_bytes)) {
        case SendWindow::Next::nothing:
            return;
        case SendWindow::Next::fresh:
            message.cookie = sent_;
            sent_at_[sent_] = now_;
            message.header.psn = sender.sent({sent_, 0}, setup_.frame_bytes, now_);
            ++sent_;
            break;
        case SendWindow::Next::again: {
            const auto again = sender.frame_again(now_);
            message.cookie = again.cookie.request;
            message.header.psn = again.psn;
            break;
        }
        case SendWindow::Next::probe:
            message.header.opcode = wire::Opcode::probe;
            message.header.psn = sender.probe_sent(now_);
            break;
        }
        if (sender.wants_ack())
            message.header.flags |= wire::ack_request;
        put_on_line(message, true);
    }
}

void WindowPair::report()
{
    if (!receiver.ack_due(now_))
        return;
    const auto report = receiver.report(now_);
    Message message;
    message.header.opcode = wire::Opcode::ack;
    message.header.psn = report.ack.next;
    message.ack = report.ack;
    message.sack = report.sack;
    message.fault = report.fault;
    message.congested = report.congested;
    ++reports;
    delays += report.fault && report.fault->kind == wire::FaultKind::delay &&
              report.ack.syndrome == wire::Syndrome::none;
    put_on_line(message, false);
}

Time WindowPair::next_time() const
{
    auto at = std::min({sender.deadline(), receiver.deadline(), resolved_at_});
    if (!events_.empty())
        at = std::min(at, events_.top().at);
    if (setup_.every != Time::zero() && sent_ < setup_.frames && !fresh_available())
        at = std::min(at, setup_.every * (sent_ / setup_.batch));
    return at;
}

void WindowPair::run()
{
    for (;;) {
        while (!events_.empty() && events_.top().at <= now_) {
            const auto event = events_.top();
            events_.pop();
            deliver(event);
        }
        if (resolved_at_ <= now_) {
            resolved_at_ = Time::max();
            resolved = now_;
            receiver.resolved(now_);
            drain();
        }
        report();
        send_all();
        if (complete() || sender.failure() != SendWindow::Failure::none || now_ > setup_.limit)
            return;
        const auto at = next_time();
        if (at == Time::max())
            return; // nothing will ever happen again
        now_ = std::max(at, now_ + Time(1));
    }
}

} // namespace p2prdma::l2::test
