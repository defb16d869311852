// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/resolver.hpp"

#include "tools/p2prdmad/refusal.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace p2prdma::daemon {
namespace {

constexpr int most_lookups = 4;
std::atomic<int> lookups = 0;

std::vector<Address> look_up(const std::string& host, std::uint16_t port, int flags)
{
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* found = nullptr;
    std::vector<Address> addresses;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) == 0) {
        for (const auto* info = found; info; info = info->ai_next)
            addresses.emplace_back(info->ai_addr, info->ai_addrlen);
        ::freeaddrinfo(found);
    }
    return addresses;
}

} // namespace

Address::Address(const sockaddr* address, socklen_t length) : length_(length)
{
    std::memcpy(&storage_, address, length);
}

Address Address::any4(std::uint16_t port)
{
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    return {reinterpret_cast<const sockaddr*>(&address), sizeof(address)};
}

Address Address::any6(std::uint16_t port)
{
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    return {reinterpret_cast<const sockaddr*>(&address), sizeof(address)};
}

std::string Address::text() const
{
    char text[NI_MAXHOST] = "?";
    ::getnameinfo(get(), length_, text, sizeof(text), nullptr, 0, NI_NUMERICHOST);
    return text;
}

/// What the thread and the daemon share.
struct Lookup::Job {
    UniqueFd done{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    std::atomic<bool> finished = false;
    std::vector<Address> addresses;

    void finish(std::vector<Address> found)
    {
        const std::uint64_t one = 1;
        addresses = std::move(found);
        finished.store(true, std::memory_order_release);
        static_cast<void>(::write(done.get(), &one, sizeof(one)));
    }
};

Lookup::Lookup(const std::string& host, std::uint16_t port) : job_(std::make_shared<Job>())
{
    auto numeric = look_up(host, port, AI_NUMERICHOST | AI_NUMERICSERV);
    if (!numeric.empty()) {
        job_->finish(std::move(numeric));
        return;
    }
    if (lookups.fetch_add(1) >= most_lookups) {
        lookups.fetch_sub(1);
        throw Refusal(EAGAIN, "too many names are looked up at once");
    }
    // Gives the turn back however it ends, and also if there is no thread.
    const std::shared_ptr<void> turn(nullptr, [](void*) { lookups.fetch_sub(1); });
    std::thread([job = job_, host, port, turn] {
        job->finish(look_up(host, port, AI_NUMERICSERV));
    }).detach();
}

int Lookup::fd() const noexcept
{
    return job_->done.get();
}

std::optional<std::vector<Address>> Lookup::result()
{
    if (!job_->finished.load(std::memory_order_acquire))
        return std::nullopt;
    if (job_->addresses.empty())
        throw Refusal(EHOSTUNREACH, "the name of the host is not known");
    return job_->addresses;
}

} // namespace p2prdma::daemon
