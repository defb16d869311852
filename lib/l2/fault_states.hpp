// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// What the two halves of a direction do while a page is brought, as tables: SendWindow and
/// ReceiveWindow look their next state and action up here, the tests walk every line, and the
/// Promela model (models/l2_fault.pml) is generated from the same lines. Each table has one line
/// for every state and event, so none can be forgotten.
namespace p2prdma::l2::fault_states {

// The sender of data: its peer, the destination, has a page fault.

enum class SourceState : std::uint8_t {
    sending, ///< no fault known; timeouts run
    pf_wait, ///< the peer said delay: timeouts are frozen, all frames kept
    probing, ///< the delay is over and nothing came; probes ask
    failed,  ///< for good
};
enum class SourceEvent : std::uint8_t {
    delay,        ///< of a fault that is not over, as far as we know
    resume,       ///< of the last fault
    acknowledged, ///< the frame that waited, or one after it
    timer,        ///< the delay, or the wait for a probe's answer, is over
    exhausted,    ///< the same, and enough probes were sent
    abort,        ///< refused, or too many timeouts
};
enum class SourceAction : std::uint8_t {
    none,
    freeze, ///< stop timeouts and fresh frames; wait for `estimate`
    extend, ///< wait for the new `estimate`
    thaw,   ///< go on; what the peer did not keep is lost
    probe,  ///< send a probe and wait for its answer
    expire, ///< go on as if a timeout had come
    fail,
};

// The receiver of data: its own memory has the page fault.

enum class SinkState : std::uint8_t {
    fault_free,
    faulting,    ///< the next frame is held and waits for its page
    turned_away, ///< the next frame needs a page and could not be held
    resuming,    ///< the page is there; nothing was processed since
    refused,     ///< for good
};
enum class SinkEvent : std::uint8_t {
    fault,     ///< the next frame needs a page, and is held
    no_room,   ///< the next frame needs a page, and cannot be held
    resolved,  ///< the page is there
    timer,     ///< what was estimated is over
    asked,     ///< a duplicate, a probe, a frame for which there is no room
    processed, ///< the next frame was
    abort,     ///< the page cannot be had, or the frame was refused for another reason
};
enum class SinkAction : std::uint8_t {
    none,
    acknowledge, ///< what was processed, and what is held
    delay,       ///< a delay of a new fault
    refresh,     ///< the delay again, with what is to be waited for now
    repeat,      ///< the delay again, as it was
    resume,
    refuse,
};

template <class State, class Event, class Action>
struct Transition {
    State state;
    Event event;
    State next;
    Action action;
};
using SourceTransition = Transition<SourceState, SourceEvent, SourceAction>;
using SinkTransition = Transition<SinkState, SinkEvent, SinkAction>;

constexpr std::size_t source_states = 4;
constexpr std::size_t source_events = 6;
constexpr std::size_t sink_states = 5;
constexpr std::size_t sink_events = 7;

// clang-format off
constexpr std::array<SourceTransition, source_states * source_events> source_table = {{
    {SourceState::sending, SourceEvent::delay,        SourceState::pf_wait, SourceAction::freeze},
    {SourceState::sending, SourceEvent::resume,       SourceState::sending, SourceAction::none},
    {SourceState::sending, SourceEvent::acknowledged, SourceState::sending, SourceAction::none},
    {SourceState::sending, SourceEvent::timer,        SourceState::sending, SourceAction::none},
    {SourceState::sending, SourceEvent::exhausted,    SourceState::sending, SourceAction::none},
    {SourceState::sending, SourceEvent::abort,        SourceState::failed,  SourceAction::fail},

    {SourceState::pf_wait, SourceEvent::delay,        SourceState::pf_wait, SourceAction::extend},
    {SourceState::pf_wait, SourceEvent::resume,       SourceState::sending, SourceAction::thaw},
    {SourceState::pf_wait, SourceEvent::acknowledged, SourceState::sending, SourceAction::thaw},
    {SourceState::pf_wait, SourceEvent::timer,        SourceState::probing, SourceAction::probe},
    {SourceState::pf_wait, SourceEvent::exhausted,    SourceState::sending, SourceAction::expire},
    {SourceState::pf_wait, SourceEvent::abort,        SourceState::failed,  SourceAction::fail},

    {SourceState::probing, SourceEvent::delay,        SourceState::pf_wait, SourceAction::extend},
    {SourceState::probing, SourceEvent::resume,       SourceState::sending, SourceAction::thaw},
    {SourceState::probing, SourceEvent::acknowledged, SourceState::sending, SourceAction::thaw},
    {SourceState::probing, SourceEvent::timer,        SourceState::probing, SourceAction::probe},
    {SourceState::probing, SourceEvent::exhausted,    SourceState::sending, SourceAction::expire},
    {SourceState::probing, SourceEvent::abort,        SourceState::failed,  SourceAction::fail},

    {SourceState::failed,  SourceEvent::delay,        SourceState::failed,  SourceAction::none},
    {SourceState::failed,  SourceEvent::resume,       SourceState::failed,  SourceAction::none},
    {SourceState::failed,  SourceEvent::acknowledged, SourceState::failed,  SourceAction::none},
    {SourceState::failed,  SourceEvent::timer,        SourceState::failed,  SourceAction::none},
    {SourceState::failed,  SourceEvent::exhausted,    SourceState::failed,  SourceAction::none},
    {SourceState::failed,  SourceEvent::abort,        SourceState::failed,  SourceAction::none},
}};

constexpr std::array<SinkTransition, sink_states * sink_events> sink_table = {{
    {SinkState::fault_free,  SinkEvent::fault,     SinkState::faulting,    SinkAction::delay},
    {SinkState::fault_free,  SinkEvent::no_room,   SinkState::turned_away, SinkAction::delay},
    {SinkState::fault_free,  SinkEvent::resolved,  SinkState::fault_free,  SinkAction::none},
    {SinkState::fault_free,  SinkEvent::timer,     SinkState::fault_free,  SinkAction::none},
    {SinkState::fault_free,  SinkEvent::asked,     SinkState::fault_free,  SinkAction::acknowledge},
    {SinkState::fault_free,  SinkEvent::processed, SinkState::fault_free,  SinkAction::none},
    {SinkState::fault_free,  SinkEvent::abort,     SinkState::refused,     SinkAction::refuse},

    {SinkState::faulting,    SinkEvent::fault,     SinkState::faulting,    SinkAction::refresh},
    {SinkState::faulting,    SinkEvent::no_room,   SinkState::faulting,    SinkAction::repeat},
    {SinkState::faulting,    SinkEvent::resolved,  SinkState::resuming,    SinkAction::resume},
    {SinkState::faulting,    SinkEvent::timer,     SinkState::faulting,    SinkAction::refresh},
    {SinkState::faulting,    SinkEvent::asked,     SinkState::faulting,    SinkAction::repeat},
    {SinkState::faulting,    SinkEvent::processed, SinkState::fault_free,  SinkAction::resume},
    {SinkState::faulting,    SinkEvent::abort,     SinkState::refused,     SinkAction::refuse},

    {SinkState::turned_away, SinkEvent::fault,     SinkState::faulting,    SinkAction::delay},
    {SinkState::turned_away, SinkEvent::no_room,   SinkState::turned_away, SinkAction::delay},
    {SinkState::turned_away, SinkEvent::resolved,  SinkState::resuming,    SinkAction::resume},
    {SinkState::turned_away, SinkEvent::timer,     SinkState::resuming,    SinkAction::resume},
    {SinkState::turned_away, SinkEvent::asked,     SinkState::turned_away, SinkAction::repeat},
    {SinkState::turned_away, SinkEvent::processed, SinkState::fault_free,  SinkAction::resume},
    {SinkState::turned_away, SinkEvent::abort,     SinkState::refused,     SinkAction::refuse},

    {SinkState::resuming,    SinkEvent::fault,     SinkState::faulting,    SinkAction::delay},
    {SinkState::resuming,    SinkEvent::no_room,   SinkState::turned_away, SinkAction::delay},
    {SinkState::resuming,    SinkEvent::resolved,  SinkState::resuming,    SinkAction::none},
    {SinkState::resuming,    SinkEvent::timer,     SinkState::resuming,    SinkAction::none},
    {SinkState::resuming,    SinkEvent::asked,     SinkState::resuming,    SinkAction::resume},
    {SinkState::resuming,    SinkEvent::processed, SinkState::fault_free,  SinkAction::resume},
    {SinkState::resuming,    SinkEvent::abort,     SinkState::refused,     SinkAction::refuse},

    {SinkState::refused,     SinkEvent::fault,     SinkState::refused,     SinkAction::none},
    {SinkState::refused,     SinkEvent::no_room,   SinkState::refused,     SinkAction::none},
    {SinkState::refused,     SinkEvent::resolved,  SinkState::refused,     SinkAction::none},
    {SinkState::refused,     SinkEvent::timer,     SinkState::refused,     SinkAction::none},
    {SinkState::refused,     SinkEvent::asked,     SinkState::refused,     SinkAction::refuse},
    {SinkState::refused,     SinkEvent::processed, SinkState::refused,     SinkAction::none},
    {SinkState::refused,     SinkEvent::abort,     SinkState::refused,     SinkAction::none},
}};
// clang-format on

/// Whether line i of a table is that of state i / events and event i % events.
template <std::size_t events, class Table>
[[nodiscard]] constexpr bool is_ordered(const Table& table) noexcept
{
    for (std::size_t i = 0; i < table.size(); ++i)
        if (static_cast<std::size_t>(table[i].state) != i / events ||
            static_cast<std::size_t>(table[i].event) != i % events)
            return false;
    return true;
}
static_assert(is_ordered<source_events>(source_table));
static_assert(is_ordered<sink_events>(sink_table));

[[nodiscard]] constexpr const SourceTransition& transition(SourceState state,
                                                           SourceEvent event) noexcept
{
    return source_table[static_cast<std::size_t>(state) * source_events +
                        static_cast<std::size_t>(event)];
}
[[nodiscard]] constexpr const SinkTransition& transition(SinkState state, SinkEvent event) noexcept
{
    return sink_table[static_cast<std::size_t>(state) * sink_events +
                      static_cast<std::size_t>(event)];
}

[[nodiscard]] constexpr std::string_view name(SourceState state) noexcept
{
    constexpr std::array<std::string_view, source_states> names = {"sending", "pf_wait", "probing",
                                                                   "failed"};
    return names[static_cast<std::size_t>(state)];
}
[[nodiscard]] constexpr std::string_view name(SourceEvent event) noexcept
{
    constexpr std::array<std::string_view, source_events> names = {
        "delay", "resume", "acknowledged", "timer", "exhausted", "abort"};
    return names[static_cast<std::size_t>(event)];
}
[[nodiscard]] constexpr std::string_view name(SourceAction action) noexcept
{
    constexpr std::array<std::string_view, 7> names = {"none",  "freeze", "extend", "thaw",
                                                       "probe", "expire", "fail"};
    return names[static_cast<std::size_t>(action)];
}
[[nodiscard]] constexpr std::string_view name(SinkState state) noexcept
{
    constexpr std::array<std::string_view, sink_states> names = {
        "fault_free", "faulting", "turned_away", "resuming", "refused"};
    return names[static_cast<std::size_t>(state)];
}
[[nodiscard]] constexpr std::string_view name(SinkEvent event) noexcept
{
    constexpr std::array<std::string_view, sink_events> names = {
        "fault", "no_room", "resolved", "timer", "asked", "processed", "abort"};
    return names[static_cast<std::size_t>(event)];
}
[[nodiscard]] constexpr std::string_view name(SinkAction action) noexcept
{
    constexpr std::array<std::string_view, 7> names = {"none",   "acknowledge", "delay", "refresh",
                                                       "repeat", "resume",      "refuse"};
    return names[static_cast<std::size_t>(action)];
}

} // namespace p2prdma::l2::fault_states
