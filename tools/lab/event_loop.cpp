// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/event_loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <system_error>

namespace lab {

namespace {

constexpr std::chrono::nanoseconds forever = std::chrono::hours(1);

[[noreturn]] void fail(const char* what)
{
    throw std::system_error(errno, std::system_category(), what);
}

} // namespace

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC))
{
    if (!epoll_)
        fail("cannot make an epoll instance");
}

void EventLoop::set_events(int fd, int operation, const Watch& watch)
{
    epoll_event event{};
    event.events = (watch.paused ? 0U : std::uint32_t{EPOLLIN}) |
                   (watch.writable ? std::uint32_t{EPOLLOUT} : 0U);
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), operation, fd, &event) != 0)
        fail("cannot watch a file descriptor");
}

void EventLoop::watch(int fd, Callback readable)
{
    auto [it, added] = watches_.try_emplace(fd);
    it->second.readable = std::move(readable);
    if (added)
        set_events(fd, EPOLL_CTL_ADD, it->second);
}

void EventLoop::watch_writable(int fd, Callback writable)
{
    auto [it, added] = watches_.try_emplace(fd);
    it->second.writable = std::move(writable);
    set_events(fd, added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, it->second);
}

void EventLoop::pause(int fd, bool paused)
{
    auto it = watches_.find(fd);
    if (it == watches_.end() || it->second.paused == paused)
        return;
    it->second.paused = paused;
    set_events(fd, EPOLL_CTL_MOD, it->second);
}

void EventLoop::unwatch(int fd)
{
    if (watches_.erase(fd) != 0)
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::post(Callback work)
{
    posted_.push_back(std::move(work));
}

EventLoop::TimerId EventLoop::after(std::chrono::nanoseconds delay, Callback work)
{
    TimerId id = next_timer_++;
    timer_index_[id] = timers_.emplace(Clock::now() + delay, std::pair{id, std::move(work)});
    return id;
}

void EventLoop::cancel(TimerId timer)
{
    auto it = timer_index_.find(timer);
    if (it == timer_index_.end())
        return;
    timers_.erase(it->second);
    timer_index_.erase(it);
}

void EventLoop::run()
{
    while (!stopped_)
        round(forever);
}

void EventLoop::run_once(std::chrono::milliseconds timeout)
{
    round(timeout);
}

void EventLoop::round(std::chrono::nanoseconds limit)
{
    std::array<epoll_event, 32> events{};
    auto wait = wait_time(limit);
    timespec timeout{.tv_sec = wait.count() / 1'000'000'000,
                     .tv_nsec = wait.count() % 1'000'000'000};
    int n = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &timeout,
                           nullptr);
    if (n < 0 && errno != EINTR)
        fail("cannot wait for events");
    for (int i = 0; i < n; ++i)
        dispatch(events[static_cast<std::size_t>(i)].data.fd,
                 events[static_cast<std::size_t>(i)].events);
    run_timers();
    run_posted();
}

void EventLoop::dispatch(int fd, std::uint32_t events)
{
    // Looked up, and copied, for each call: the callback before may have unwatched this descriptor.
    if (auto it = watches_.find(fd); it != watches_.end() && (events & EPOLLOUT)) {
        if (Callback writable = it->second.writable)
            writable();
    }
    // A pause may be younger than the event.
    auto read_events = [](const Watch& watch) {
        return watch.paused ? EPOLLHUP | EPOLLERR : ~std::uint32_t{EPOLLOUT};
    };
    if (auto it = watches_.find(fd); it != watches_.end() && (events & read_events(it->second))) {
        if (Callback readable = it->second.readable)
            readable();
    }
    run_posted();
}

void EventLoop::run_posted()
{
    // One batch only: work that posts again must not keep the descriptors waiting.
    std::vector<Callback> batch;
    batch.swap(posted_);
    for (auto& work : batch)
        work();
}

void EventLoop::run_timers()
{
    auto now = Clock::now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
        auto node = timers_.extract(timers_.begin());
        timer_index_.erase(node.mapped().first);
        node.mapped().second();
    }
}

std::chrono::nanoseconds EventLoop::wait_time(std::chrono::nanoseconds limit) const
{
    if (!posted_.empty() || stopped_)
        return std::chrono::nanoseconds::zero();
    if (timers_.empty())
        return limit;
    std::chrono::nanoseconds next = timers_.begin()->first - Clock::now();
    return std::clamp(next, std::chrono::nanoseconds::zero(), limit);
}

} // namespace lab
