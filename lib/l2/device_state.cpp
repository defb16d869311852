// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/device_state.hpp"

#include "lib/l2/choose_port.hpp"
#include "lib/l2/interface.hpp"
#include "p2prdma/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <poll.h>
#include <sodium.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace p2prdma::l2 {
namespace {

using namespace std::chrono_literals;

constexpr unsigned looks_at_time = 8; ///< of so many idle ones, one looks at the clock
constexpr Time attended_for = 2ms;    ///< after a poll or a wait
constexpr Time longest_sleep = 10s;
constexpr Time longest_wait = 5ms; ///< of one who waits, as others may take what he waits for

/// Numbers and keys of two devices on one address would not be told apart: each would deny the
/// connections of the other.
UniqueFd claim_interface(const std::string& name, const DeviceOptions& options)
{
    const Interface interface(name);
    const auto claim = "p2prdma-l2/" + std::to_string(interface.index()) + "/" +
                       std::to_string(options.ether_type) + "/" +
                       std::to_string(options.vlan.value_or(0));
    UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX; // and an abstract name, which is the network namespace's
    std::copy(claim.begin(), claim.end(), address.sun_path + 1);
    const auto size = offsetof(sockaddr_un, sun_path) + 1 + claim.size();
    if (fd.get() < 0 || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), // NOLINT
                               static_cast<socklen_t>(size)) != 0)
        throw Error({errno == EADDRINUSE ? EBUSY : errno, std::system_category()},
                    errno == EADDRINUSE
                        ? name + " is in use by another device of this EtherType and VLAN"
                        : "cannot claim " + name);
    return fd;
}

DeviceOptions checked(DeviceOptions options)
{
    if (!options.secret.empty() && options.secret.size() != 32)
        throw Error(Errc::bad_argument, "a secret has 32 bytes");
    if (options.max_queue_pairs == 0)
        throw Error(Errc::bad_argument, "a device needs room for a queue pair");
    if (!options.name.empty())
        return options;
    std::array<char, 128> name = {};
    if (::gethostname(name.data(), name.size() - 1) == 0)
        options.name = name.data();
    return options;
}

ProcessPager::Config pager_config(const DeviceOptions& options)
{
    ProcessPager::Config config;
    config.resolver.threads = options.fault_threads;
    config.resolver.fault_limit = options.fault_limit;
    return config;
}

std::uint64_t random_number()
{
    std::uint64_t number = 0;
    ::randombytes_buf(&number, sizeof number);
    return number;
}

timespec until_then(Time time) noexcept
{
    const auto left = std::max(time - Device::State::now(), Time::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    return {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
}

} // namespace

Device::State::State(std::string interface_, const DeviceOptions& options_)
    : interface(std::move(interface_)), options(checked(options_)),
      claim(claim_interface(interface, options)), port(open_port(interface, options)),
      pager(pager_config(options)), engine(*port, pager, options, random_number)
{
    if (options.progress == Progress::caller)
        return;
    wake_.open();
    thread_ = std::thread([this] { run(); });
}

Device::State::~State()
{
    if (!thread_.joinable())
        return;
    {
        const std::lock_guard lock(mutex);
        stop_ = true;
        wake_.ring();
    }
    thread_.join();
}

int Device::State::watch() noexcept
{
    if (epoll_)
        return epoll_.get();
    UniqueFd made(::epoll_create1(EPOLL_CLOEXEC));
    for (const int fd : {port->fd(), pager.fd()}) {
        epoll_event event = {};
        event.events = EPOLLIN;
        if (fd >= 0 && ::epoll_ctl(made.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            return -1;
    }
    epoll_ = std::move(made);
    return epoll_.get();
}

void Device::State::check_segment() const
{
    if (!options.secret.empty() || options.trust_segment || !Interface(interface).is_bridged())
        return;
    throw Error(Errc::not_isolated,
                interface + " belongs to a bridge, over which strangers may reach it: give the "
                            "device a secret, or say that the segment is trusted");
}

bool Device::State::progress() noexcept
{
    const auto time = now();
    attended_until_ = time + attended_for;
    return engine.progress(time);
}

// To ask for the time costs as much as all else of a look that finds nothing.
bool Device::State::look() noexcept
{
    if (!engine.has_frames() && ++idle_looks_ % looks_at_time != 0)
        return false;
    return progress();
}

void Device::State::kick() noexcept
{
    engine.transmit(now());
    mind_timers();
}

void Device::State::mind_timers() noexcept
{
    if (sleepers_ != 0)
        alarm_.set(engine.deadline(), now());
}

void Device::State::leave_to_thread() noexcept
{
    attended_until_ = Time::min();
    if (thread_.joinable())
        wake_.ring();
}

// Another sleeper may set the alarm anew before this one has heard it, so that `until` has a limit
// of its own; being far away, mostly, it costs nothing.
void Device::State::sleep(Lock& lock, Time until, int event) noexcept
{
    const auto time = now();
    alarm_.set(engine.deadline(), time);
    const auto limit = until_then(std::min(until, time + longest_sleep));
    std::array<pollfd, 4> fds = {{{port->fd(), POLLIN, 0},
                                  {alarm_.fd(), POLLIN, 0},
                                  {pager.fd(), POLLIN, 0},
                                  {event, POLLIN, 0}}};
    ++sleepers_;
    lock.unlock();
    ::ppoll(fds.data(), fds.size(), &limit, nullptr);
    lock.lock();
    --sleepers_;
}

void Device::State::wait(Lock& lock, Time until, const Elsewhere& elsewhere) noexcept
{
    const auto limit = elsewhere.event < 0 ? now() + longest_wait : until;
    if (elsewhere.ring != nullptr)
        elsewhere.ring->arm(false);
    sleep(lock, std::min(until, limit), elsewhere.event);
    if (elsewhere.ring != nullptr)
        elsewhere.ring->disarm(); // what this thread finds now need not wake anybody
}

void Device::State::sleep_while_attended(Lock& lock) noexcept
{
    const auto time = until_then(now() + attended_for);
    pollfd fd = {wake_.fd(), POLLIN, 0};
    lock.unlock();
    ::ppoll(&fd, 1, &time, nullptr);
    lock.lock();
}

void Device::State::run() noexcept
{
    Lock lock(mutex);
    while (!stop_) {
        wake_.clear();
        const bool polled = now() < attended_until_;
        if (polled || sleepers_ != 0) {
            if (!polled)
                mind_timers(); // of those that came by polls which have ended
            sleep_while_attended(lock);
            continue;
        }
        if (engine.progress(now())) {
            mutex.pass_on();
            continue;
        }
        sleep(lock, Time::max(), wake_.fd());
    }
}

} // namespace p2prdma::l2
