// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/event_loop.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <sys/socket.h>

using namespace lab;
using namespace std::chrono_literals;

namespace {

struct Pair {
    Pair()
    {
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()) == 0);
        one.reset(fds[0]);
        other.reset(fds[1]);
    }
    void send() const { REQUIRE(::write(other.get(), "x", 1) == 1); }
    void take() const
    {
        char c = 0;
        REQUIRE(::read(one.get(), &c, 1) == 1);
    }
    UniqueFd one;
    UniqueFd other;
};

} // namespace

TEST_CASE("work posted from a callback runs after it, in order", "[lab][event_loop]")
{
    EventLoop loop;
    Pair pair;
    std::string order;
    loop.watch(pair.one.get(), [&] {
        pair.take();
        loop.post([&] { order += "b"; });
        loop.post([&] {
            order += "c";
            loop.post([&] { order += "d"; });
        });
        order += "a";
    });
    pair.send();
    loop.run_once(1s);
    CHECK(order.substr(0, 3) == "abc");
    loop.run_once(0ms);
    CHECK(order == "abcd");
}

TEST_CASE("posted work comes before the next descriptor's callback", "[lab][event_loop]")
{
    EventLoop loop;
    Pair one;
    Pair two;
    std::string order;
    for (const Pair* pair : {&one, &two}) {
        loop.watch(pair->one.get(), [&loop, &order, pair] {
            pair->take();
            order += "callback ";
            loop.post([&order] { order += "work "; });
        });
        pair->send();
    }
    loop.run_once(1s);
    CHECK(order == "callback work callback work ");
}

TEST_CASE("a callback may unwatch itself and others", "[lab][event_loop]")
{
    EventLoop loop;
    Pair one;
    Pair two;
    int calls = 0;
    auto once = [&] {
        ++calls;
        loop.unwatch(one.one.get());
        loop.unwatch(two.one.get());
    };
    loop.watch(one.one.get(), once);
    loop.watch(two.one.get(), once);
    one.send();
    two.send();
    loop.run_once(1s);
    loop.run_once(0ms);
    CHECK(calls == 1);
}

TEST_CASE("writability is reported until the callback is taken away", "[lab][event_loop]")
{
    EventLoop loop;
    Pair pair;
    int calls = 0;
    loop.watch(pair.one.get(), [] {});
    loop.watch_writable(pair.one.get(), [&] { ++calls; });
    loop.run_once(1s);
    loop.run_once(1s);
    CHECK(calls == 2);
    loop.watch_writable(pair.one.get(), {});
    loop.run_once(0ms);
    CHECK(calls == 2);
}

TEST_CASE("timers fire in the order of their times, unless cancelled", "[lab][event_loop]")
{
    EventLoop loop;
    std::string order;
    loop.after(3ms, [&] { order += "c"; });
    loop.after(1ms, [&] { order += "a"; });
    auto cancelled = loop.after(2ms, [&] { order += "b"; });
    loop.cancel(cancelled);
    loop.cancel(cancelled);
    loop.after(4ms, [&] { loop.stop(); });
    loop.run();
    CHECK(order == "ac");
}

TEST_CASE("a timer does not fire before its time", "[lab][event_loop]")
{
    EventLoop loop;
    auto start = EventLoop::Clock::now();
    auto fired = start;
    loop.after(20ms, [&] {
        fired = EventLoop::Clock::now();
        loop.stop();
    });
    loop.run();
    CHECK(fired - start >= 20ms);
}

TEST_CASE("a hang-up is readable", "[lab][event_loop]")
{
    EventLoop loop;
    Pair pair;
    bool called = false;
    loop.watch(pair.one.get(), [&] { called = true; });
    pair.other.reset();
    loop.run_once(1s);
    CHECK(called);
}

TEST_CASE("a paused descriptor tells only that it hung up", "[lab][event_loop]")
{
    EventLoop loop;
    Pair pair;
    int calls = 0;
    loop.watch(pair.one.get(), [&] {
        ++calls;
        pair.take();
    });
    loop.pause(pair.one.get(), true);
    pair.send();
    loop.run_once(0ms);
    CHECK(calls == 0);
    loop.pause(pair.one.get(), false);
    loop.run_once(0ms);
    CHECK(calls == 1);
    loop.watch(pair.one.get(), [&] { ++calls; });
    loop.pause(pair.one.get(), true);
    pair.other.reset();
    loop.run_once(0ms);
    CHECK(calls == 2);
}
