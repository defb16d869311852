// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/scheduler.hpp"
#include "tools/lab/event_loop.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>

using namespace lab;
using namespace lab::efa;

namespace {

/// Writes its name for each packet that it has.
struct Named final : Transmitter {
    Named(std::string& l, char n, int p) : log(l), name(n), packets(p) {}
    bool transmit() override
    {
        log += name;
        return --packets > 0;
    }
    std::string& log;
    char name;
    int packets;
};

struct Fixture {
    void run_once() { loop.run_once(std::chrono::milliseconds(0)); }

    EventLoop loop;
    Scheduler scheduler{loop};
    std::string log;
};

} // namespace

TEST_CASE_METHOD(Fixture, "transmitters take turns, from the event loop", "[efa][scheduler]")
{
    scheduler.activate(std::make_shared<Named>(log, 'a', 4));
    scheduler.activate(std::make_shared<Named>(log, 'b', 2));
    scheduler.activate(std::make_shared<Named>(log, 'c', 1));
    CHECK(log.empty());
    run_once();
    CHECK(log == "abcabaa");
}

TEST_CASE_METHOD(Fixture, "a transmitter is in the row once", "[efa][scheduler]")
{
    auto one = std::make_shared<Named>(log, 'a', 1);
    scheduler.activate(one);
    scheduler.activate(one);
    run_once();
    CHECK(log == "a");
    scheduler.activate(one);
    run_once();
    CHECK(log == "aa");
}

TEST_CASE_METHOD(Fixture, "one that never ends leaves the event loop its other work",
                 "[efa][scheduler]")
{
    scheduler.activate(std::make_shared<Named>(log, 'a', 1 << 20));
    loop.post([this] { log += '!'; });
    run_once();
    CHECK(log.find('!') != std::string::npos);
    CHECK(log.size() < 100);
    auto before = log.size();
    run_once();
    CHECK(log.size() > before);
}
