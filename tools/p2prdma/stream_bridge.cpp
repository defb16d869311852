// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/stream_bridge.hpp"

#include "tools/p2prdma/failure.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>

#include <sys/socket.h>

namespace p2prdma::tool {
namespace {

using Clock = ByteStream::Clock;

constexpr auto send_limit = std::chrono::seconds(10);
constexpr auto look_around = std::chrono::milliseconds(200);

/// Signals are the main thread's.
class NoSignals {
public:
    NoSignals()
    {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    NoSignals(const NoSignals&) = delete;
    NoSignals& operator=(const NoSignals&) = delete;

private:
    sigset_t before_;
};

} // namespace

StreamBridge::StreamBridge(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream))
{
    std::array<int, 2> ends = {};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw system_failure(errno, "cannot make a pair of sockets");
    outer_.reset(ends[0]);
    inner_.reset(ends[1]);
    const NoSignals inherited;
    out_ = std::thread([this] { carry_out(); });
    in_ = std::thread([this] { carry_in(); });
}

StreamBridge::~StreamBridge()
{
    outer_.reset(); // if nobody took it
    out_.join();
    over_ = true;
    in_.join();
}

void StreamBridge::carry_out() noexcept
{
    std::array<std::byte, 4096> bytes;
    try {
        for (;;) {
            const auto got = ::recv(inner_.get(), bytes.data(), bytes.size(), 0);
            if (got <= 0)
                return;
            stream_->send(std::span(bytes).first(static_cast<std::size_t>(got)),
                          Clock::now() + send_limit);
        }
    } catch (const std::exception&) {
        ::shutdown(inner_.get(), SHUT_RDWR); // as a connection that broke
    }
}

void StreamBridge::carry_in() noexcept
{
    std::array<std::byte, 4096> bytes;
    try {
        while (!over_) {
            const auto got = stream_->receive(bytes, Clock::now() + look_around);
            if (got && (*got == 0 || ::send(inner_.get(), bytes.data(), *got, MSG_NOSIGNAL) < 0))
                break;
        }
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the same as an end
    }
    ::shutdown(inner_.get(), SHUT_WR);
}

} // namespace p2prdma::tool
