// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace lab::efa {

/// What a counter can count of a queue pair; a number is the bit in the attach command's mask.
enum class QpEvent : std::uint8_t {
    send,
    send_error,
    receive,
    receive_error,
    read,
    read_error,
    write,
    write_error,
    remote_read,  ///< others have read, a whole request
    remote_write, ///< others have written, a whole request
};

inline constexpr std::size_t qp_event_count = 10;
inline constexpr std::uint32_t all_qp_events = (1u << qp_event_count) - 1;

/// A number in memory, host or other, that goes up with each event: eight bytes, written as one.
class EventCounter {
public:
    EventCounter(DmaEngine& dma, std::uint64_t address) : dma_(dma), address_(address) {}

    /// Software sees the new value after everything that the adapter wrote before.
    void add(std::uint64_t amount) { set(value_ + amount); }
    void set(std::uint64_t value)
    {
        value_ = value;
        dma_.write(address_, std::as_bytes(std::span(&value_, 1)), [](const DmaResult&) {});
    }

    unsigned users = 0; ///< attachments to queue pairs, one per kind of event

private:
    DmaEngine& dma_;
    std::uint64_t address_;
    std::uint64_t value_ = 0;
};

/// A queue pair's counters: one at most for each kind of event.
class AttachedCounters {
public:
    AttachedCounters() = default;
    ~AttachedCounters() { detach_all(); }
    AttachedCounters(const AttachedCounters&) = delete;
    AttachedCounters& operator=(const AttachedCounters&) = delete;

    void count(QpEvent event)
    {
        if (auto& counter = counters_[static_cast<std::size_t>(event)])
            counter->add(1);
    }
    /// False if one of the events of the mask has a counter already.
    bool attach(const std::shared_ptr<EventCounter>& counter, std::uint32_t events)
    {
        if (!all(events, nullptr))
            return false;
        for_each(events, [&](auto& place) { place = counter, ++counter->users; });
        return true;
    }
    /// False if one of the events of the mask is not counted there.
    bool detach(const std::shared_ptr<EventCounter>& counter, std::uint32_t events)
    {
        if (!all(events, counter))
            return false;
        for_each(events, [](auto& place) { --place->users, place = nullptr; });
        return true;
    }
    void detach_all()
    {
        for (auto& counter : counters_) {
            if (counter)
                --counter->users;
            counter = nullptr;
        }
    }

private:
    template <typename Action>
    void for_each(std::uint32_t events, const Action& action)
    {
        for (std::size_t i = 0; i < counters_.size(); ++i) {
            if ((events >> i & 1) != 0)
                action(counters_[i]);
        }
    }
    bool all(std::uint32_t events, const std::shared_ptr<EventCounter>& counter)
    {
        bool same = true;
        for_each(events, [&](auto& place) { same = same && place == counter; });
        return same;
    }

    std::array<std::shared_ptr<EventCounter>, qp_event_count> counters_;
};

} // namespace lab::efa
