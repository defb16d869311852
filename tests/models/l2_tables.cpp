// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Prints the engine's state machines as Promela, for models/l2_*.pml: the models go by the very
// tables that the code goes by. For each machine: numbers for its states (NAME_state), events
// (NAME_ON_event) and actions (NAME_DO_action), and inline name_step(in_state, on_event, then),
// which changes `in_state` and sets `then`.
#include "lib/l2/connection_states.hpp"
#include "lib/l2/fault_states.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

using namespace p2prdma::l2;

namespace {

const char* name_of(ConnectionState value)
{
    return to_string(value);
}
const char* name_of(ConnectionEvent value)
{
    return to_string(value);
}
const char* name_of(ConnectionAction value)
{
    return to_string(value);
}
template <class T>
const char* name_of(T value)
{
    return fault_states::name(value).data(); // of a literal
}

template <class T>
void define(const std::string& prefix, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        std::printf("#define %s_%s %u\n", prefix.c_str(), name_of(static_cast<T>(i)), i);
}

void begin(const char* machine)
{
    std::printf("inline %s_step(in_state, on_event, then)\n{\n    if\n", machine);
}

template <class State, class Event, class Action>
void line(const std::string& prefix, State from, Event event, State to, Action action)
{
    const auto* const name = prefix.c_str();
    std::printf(
        "    :: in_state == %s_%s && on_event == %s_ON_%s -> in_state = %s_%s; then = %s_DO_%s\n",
        name, name_of(from), name, name_of(event), name, name_of(to), name, name_of(action));
}

void end()
{
    std::printf("    fi\n}\n\n");
}

template <class Table>
void print_fault_table(const char* machine, std::string prefix, Table& table)
{
    begin(machine);
    for (const auto& one : table)
        line(prefix, one.state, one.event, one.next, one.action);
    end();
}

template <class T>
constexpr auto count_of = static_cast<unsigned>(T::count);

void print_connection_table()
{
    define<ConnectionState>("CONNECTION", count_of<ConnectionState>);
    define<ConnectionEvent>("CONNECTION_ON", count_of<ConnectionEvent>);
    define<ConnectionAction>("CONNECTION_DO", count_of<ConnectionAction>);
    begin("connection");
    for (const auto& one : connection_transitions)
        line("CONNECTION", one.from, one.event, one.to, one.action);
    std::printf("    :: else -> then = CONNECTION_DO_none\n");
    end();
}

} // namespace

int main()
{
    using namespace fault_states;
    define<SourceState>("SOURCE", source_states);
    define<SourceEvent>("SOURCE_ON", source_events);
    define<SourceAction>("SOURCE_DO", static_cast<unsigned>(SourceAction::fail) + 1);
    print_fault_table("source", "SOURCE", source_table);
    define<SinkState>("SINK", sink_states);
    define<SinkEvent>("SINK_ON", sink_events);
    define<SinkAction>("SINK_DO", static_cast<unsigned>(SinkAction::refuse) + 1);
    print_fault_table("sink", "SINK", sink_table);
    print_connection_table();
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : 1;
}
