// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/copy_watch.hpp"

#include "lib/l2/user_access.hpp"
#include "p2prdma/unique_fd.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stop_token>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

namespace p2prdma::l2::copy_watch {

std::atomic<bool> awake = true; // until there is somebody to wake

namespace {

constexpr unsigned idle_periods = 100; ///< without a copy, after which it sleeps

std::mutex mutex;
Slot* slots = nullptr; ///< under the mutex

/// Whether it waits for something, and is not merely kept from running by others.
bool sleeps(pid_t thread) noexcept
{
    std::array<char, 64> path = {};
    std::array<char, 256> text = {};
    std::snprintf(path.data(), path.size(), "/proc/self/task/%d/stat", thread);
    const UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
    const ssize_t length = ::read(file.get(), text.data(), text.size());
    if (length <= 0)
        return true; // where there is no /proc
    // "12 (a name) S ..."
    const std::string_view stat(text.data(), static_cast<std::size_t>(length));
    const std::size_t name_end = stat.rfind(')');
    return name_end != std::string_view::npos && stat.substr(name_end + 1).starts_with(" S");
}

/// The signals that a thread blocks, as a mask; what cannot be read counts as none.
std::uint64_t blocked_by(pid_t thread) noexcept
{
    std::array<char, 64> path = {};
    std::array<char, 4096> text = {};
    std::snprintf(path.data(), path.size(), "/proc/self/task/%d/status", thread);
    const UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
    const ssize_t length = ::read(file.get(), text.data(), text.size() - 1);
    const char* const line = length <= 0 ? nullptr : std::strstr(text.data(), "SigBlk:");
    return line == nullptr ? 0 : std::strtoull(line + 7, nullptr, 16);
}

/// Whether there was a copy since it was last called, or there is one now.
bool look() noexcept
{
    const std::lock_guard lock(mutex);
    bool busy = false;
    for (Slot* slot = slots; slot; slot = slot->next) {
        const std::uint32_t now = slot->sequence.load(std::memory_order_relaxed);
        const bool copying = (now & 1) != 0;
        if (copying && now == slot->seen && sleeps(slot->number))
            interrupt(*slot);
        busy = busy || copying || now != slot->seen;
        slot->seen = now;
    }
    return busy;
}

void watch(const std::stop_token& stop)
{
    unsigned idle = 0;
    while (!stop.stop_requested()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(period_ms));
        idle = look() ? 0 : idle + 1;
        if (idle < idle_periods)
            continue;
        awake = false;
        // Who began meanwhile, and saw it awake, is seen by now.
        std::this_thread::sleep_for(std::chrono::milliseconds(period_ms));
        if (!look() && !stop.stop_requested())
            awake.wait(false);
        awake = true;
        idle = 0;
    }
}

/// The thread, which ends with the process.
class Watcher {
public:
    Watcher()
    {
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        thread_ = std::jthread([](const std::stop_token& stop) { watch(stop); });
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        ::pthread_setname_np(thread_.native_handle(), "p2prdma-copies");
    }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher()
    {
        thread_.request_stop();
        wake();
    }

private:
    std::jthread thread_;
};

} // namespace

void interrupt(Slot& slot) noexcept
{
    if (slot.number == 0)
        return; // it could not be watched
    const auto blocked = blocked_by(slot.number);
    for (const int signal : {SIGURG, SIGBUS, SIGSEGV})
        if ((blocked >> (signal - 1) & 1) == 0 && user_access::is_handled(signal)) {
            ::pthread_sigqueue(slot.thread, signal, {.sival_ptr = &slot});
            return;
        }
}

void wake() noexcept
{
    awake = true;
    awake.notify_one();
}

void add(Slot& slot)
{
    static const Watcher watcher;
    const std::lock_guard lock(mutex);
    slot.thread = ::pthread_self();
    slot.number = ::gettid();
    slot.next = slots;
    slots = &slot;
}

void remove(Slot& slot) noexcept
{
    const std::lock_guard lock(mutex);
    for (Slot** place = &slots; *place; place = &(*place)->next)
        if (*place == &slot) {
            *place = slot.next;
            return;
        }
}

} // namespace p2prdma::l2::copy_watch
