// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/fault_states.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>

using namespace p2prdma::l2::fault_states;

namespace {

/// All states that can be reached from `start` by any events.
template <class State, class Table>
std::set<State> reachable(State start, const Table& table)
{
    std::set<State> found = {start};
    for (std::size_t before = 0; before != found.size();) {
        before = found.size();
        for (const auto& line : table)
            if (found.contains(line.state))
                found.insert(line.next);
    }
    return found;
}

template <class Table>
void check_names(const Table& table)
{
    std::set<std::string> lines;
    for (const auto& line : table) {
        CHECK_FALSE(name(line.action).empty());
        lines.insert(std::string(name(line.state)) + '/' + std::string(name(line.event)));
    }
    CHECK(lines.size() == table.size());
}

} // namespace

TEST_CASE("fault states: every state can be reached, and the lookup gives each line")
{
    CHECK(reachable(SourceState::sending, source_table).size() == source_states);
    CHECK(reachable(SinkState::fault_free, sink_table).size() == sink_states);
    for (const auto& line : source_table)
        CHECK(&transition(line.state, line.event) == &line);
    for (const auto& line : sink_table)
        CHECK(&transition(line.state, line.event) == &line);
}

TEST_CASE("fault states: names are there and differ")
{
    check_names(source_table);
    check_names(sink_table);
}

TEST_CASE("fault states: failed and refused are for good")
{
    CHECK(reachable(SourceState::failed, source_table).size() == 1);
    CHECK(reachable(SinkState::refused, sink_table).size() == 1);
}

TEST_CASE("fault states: from every other state one goes on again without a timeout")
{
    for (const auto state : {SourceState::pf_wait, SourceState::probing}) {
        CHECK(transition(state, SourceEvent::resume).next == SourceState::sending);
        CHECK(transition(state, SourceEvent::acknowledged).next == SourceState::sending);
    }
    for (const auto state : {SinkState::faulting, SinkState::turned_away, SinkState::resuming})
        CHECK(transition(state, SinkEvent::processed).next == SinkState::fault_free);
}
