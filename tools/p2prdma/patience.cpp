// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/patience.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/interrupt.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace p2prdma::tool {
namespace {

constexpr std::size_t max_events = 3;
constexpr auto check_interval = std::chrono::seconds(1);

timespec to_timespec(Patience::Clock::duration time)
{
    const auto nanoseconds = std::max<std::chrono::nanoseconds::rep>(
        0, std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
    return {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
}

} // namespace

Patience::Patience(const Interrupt& interrupt, Clock::duration limit)
    : interrupt_(interrupt), limit_(limit)
{
}

void Patience::check(const std::string& what)
{
    interrupt_.check();
    const auto now = Clock::now();
    if (check_ && now - checked_ >= check_interval) {
        checked_ = now;
        check_();
    }
    if (now - since_ < limit_)
        return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit_).count();
    throw Failure(Exit::peer_lost, "timeout",
                  what + ": nothing happened for " + std::to_string(seconds) +
                      (seconds == 1 ? " second" : " seconds"));
}

bool Patience::wait(std::span<pollfd> events, Clock::duration at_most, const std::string& what)
{
    std::array<pollfd, max_events + 1> all = {};
    const std::size_t count = std::min(events.size(), max_events);
    std::copy_n(events.begin(), count, all.begin());
    all[count] = {interrupt_.fd(), POLLIN, 0};
    const auto left = since_ + limit_ - Clock::now();
    const auto time = to_timespec(std::min({at_most, left, Clock::duration(check_interval)}));
    const int ready = ::ppoll(all.data(), count + 1, &time, nullptr);
    if (ready < 0 && errno != EINTR)
        throw system_failure(errno, "cannot wait");
    std::copy_n(all.begin(), count, events.begin());
    const bool any =
        ready > 0 && std::ranges::any_of(events, [](const pollfd& e) { return e.revents; });
    if (any)
        interrupt_.check();
    else
        check(what);
    return any;
}

void Patience::wait(std::span<pollfd> events, const std::string& what)
{
    while (!wait(events, check_interval, what)) {
    }
}

} // namespace p2prdma::tool
