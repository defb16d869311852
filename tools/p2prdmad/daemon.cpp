// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/daemon.hpp"

#include "p2prdma/control_area.hpp"
#include "p2prdma/error.hpp"
#include "tools/p2prdmad/bus_guard.hpp"
#include "tools/p2prdmad/card_service.hpp"
#include "tools/p2prdmad/engine.hpp"
#include "tools/p2prdmad/notify.hpp"
#include "tools/p2prdmad/tcp_network.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <span>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace p2prdma::daemon {
namespace {

/// How often adapters are asked whether they are still there.
constexpr auto check_period = std::chrono::seconds(1);
/// How long the card has, at the end, to unmap what it was granted.
constexpr auto farewell_limit = std::chrono::seconds(1);
/// How long to look for the next request before waiting for the card's bell: a request often comes
/// sooner than a bell and a wake-up take.
constexpr auto poll_time = std::chrono::milliseconds(2);
constexpr int retry_ms = 1000; ///< for a card that is away
constexpr int rejoin_ms = 100; ///< before a card that left is invited again

UniqueFd take_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd)
        throw Error(std::error_code(errno, std::system_category()), "cannot watch for signals");
    return fd;
}

std::string hostname()
{
    char name[64] = "";
    ::gethostname(name, sizeof(name) - 1);
    return name;
}

/// The milliseconds until then, rounded up, for poll().
int timeout_until(Clock::time_point time)
{
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60000));
}

} // namespace

/// One epoch of the control area, and the descriptors that its loop waits for.
class Epoch {
public:
    enum class Wake { signal, gone, reset, other };

    Epoch(CardService& service, const Options& options, Log& log, int signals)
        : service_(service), area_(service.card().open_control()), guard_(area_.span()),
          network_(options.network),
          engine_(Area(area_.span()),
                  {area_.epoch(), options.quota, hostname(), [&service] { service.ring(); }},
                  service.provider(), network_, log),
          signals_(signals)
    {
        engine_.open();
    }

    /// Waits for something to do, and does it. \throws EpochOver
    Wake turn();
    /// Ends it; waits for the card a while.
    void close();

private:
    Clock::time_point due() const;
    int timeout();
    void serve(Clock::time_point now);

    CardService& service_;
    ControlArea area_;
    BusGuard guard_;
    TcpNetwork network_;
    Engine engine_;
    int signals_;
    std::vector<pollfd> watched_;
    Clock::time_point next_check_ = Clock::now() + check_period;
    Clock::time_point polls_until_;
    bool polling_ = false;
    std::uint64_t served_ = 0;
};

Clock::time_point Epoch::due() const
{
    auto due = next_check_;
    if (const auto engine = engine_.due())
        due = std::min(due, *engine);
    if (const auto relay = service_.provider().relay().due())
        due = std::min(due, *relay);
    return due;
}

/// Milliseconds for poll().
int Epoch::timeout()
{
    if (Clock::now() < polls_until_)
        return 0;
    if (!std::exchange(polling_, false))
        return timeout_until(due());
    engine_.set_polling(false);
    return 0; // what came before the card saw that came without a bell
}

void Epoch::serve(Clock::time_point now)
{
    engine_.serve(now);
    if (std::exchange(served_, engine_.served()) == engine_.served())
        return;
    polls_until_ = Clock::now() + poll_time;
    if (!std::exchange(polling_, true))
        engine_.set_polling(true);
}

Epoch::Wake Epoch::turn()
{
    watched_.assign(
        {{signals_, POLLIN, 0}, {service_.card().fd(), 0, 0}, {service_.bell().fd(), POLLIN, 0}});
    const auto first = watched_.size();
    service_.provider().watch(watched_);
    const auto last = watched_.size();
    engine_.watch(watched_);
    ::poll(watched_.data(), watched_.size(), timeout());
    if (watched_[0].revents)
        return Wake::signal;
    if (watched_[1].revents & POLLHUP)
        return Wake::gone;
    if (watched_[1].revents || guard_.tripped() || service_.tripped())
        return Wake::reset;
    if (watched_[2].revents)
        service_.bell().take();
    if (std::ranges::any_of(std::span(watched_).subspan(first, last - first), &pollfd::revents))
        for (const auto* object : service_.provider().attend())
            engine_.lose(*object);
    const auto now = Clock::now();
    if (now >= next_check_) {
        service_.provider().check_adapters();
        next_check_ = now + check_period;
    }
    service_.provider().relay().serve(now);
    serve(now);
    return Wake::other;
}

void Epoch::close()
{
    engine_.close();
    const auto end = Clock::now() + farewell_limit;
    while (!engine_.quiet() && Clock::now() < end)
        ::poll(nullptr, 0, 1);
}

Daemon::Daemon(Options options, Log& log)
    : options_(std::move(options)), log_(log), signals_(take_signals())
{
}

void Daemon::run()
{
    for (;;) {
        try {
            if (serve_card() == End::stopped)
                return;
        } catch (const std::exception& error) {
            if (!is_loss(error))
                throw;
            log_.warning(std::string(error.what()) + "; waiting for it");
            if (pause(retry_ms))
                return;
        }
    }
}

/// Whether the card may come, or come back.
bool Daemon::is_loss(const std::exception& error) const
{
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    const bool lost =
        system && (system->code() == Errc::card_gone || system->code() == Errc::no_such_card ||
                   (seen_ && system->code() == std::errc::device_or_resource_busy));
    return lost && (seen_ ? !options_.once : options_.wait);
}

/// Whether a signal came meanwhile.
bool Daemon::pause(int milliseconds)
{
    pollfd watched = {signals_.get(), POLLIN, 0};
    return ::poll(&watched, 1, milliseconds) > 0;
}

Daemon::End Daemon::serve_card()
{
    CardService service(options_);
    log_.info("serving " + service.describe());
    if (!std::exchange(seen_, true))
        notify("READY=1");
    for (;;) {
        const auto end = serve_epoch(service);
        if (end != End::epoch)
            return end;
        if (pause(rejoin_ms))
            return End::stopped;
    }
}

Daemon::End Daemon::serve_epoch(CardService& service)
{
    Epoch epoch(service, options_, log_, signals_.get());
    try {
        for (;;) {
            switch (epoch.turn()) {
            case Epoch::Wake::signal:
                epoch.close();
                return End::stopped;
            case Epoch::Wake::gone:
                throw Error(Errc::card_gone,
                            service.card().name() + " has been removed or unbound");
            case Epoch::Wake::reset:
                log_.warning(service.card().name() + " was reset: all clients are lost");
                return End::reopened;
            case Epoch::Wake::other:
                break;
            }
        }
    } catch (const EpochOver& over) {
        log_.warning(std::string(over.what()) + ": a new epoch begins");
        return End::epoch;
    }
}

} // namespace p2prdma::daemon
