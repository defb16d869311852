// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_statistics.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <optional>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace p2prdma::tool {
namespace {

constexpr std::size_t max_answer = 64 << 10;
constexpr int backlog = 4;
constexpr auto max_look = std::chrono::seconds(10);

/// Names after which come the interface, a slash and the process's number.
std::string name_beginning(const std::string& interface)
{
    return "p2prdma-l2-stat/" + interface + "/";
}

/// An abstract address: no file, so nothing is left behind by a process that was killed.
std::optional<socklen_t> make_address(const std::string& name, sockaddr_un& address)
{
    address = {};
    address.sun_family = AF_UNIX;
    if (name.size() + 1 > sizeof(address.sun_path))
        return std::nullopt;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

UniqueFd listen_as(const std::string& name)
{
    sockaddr_un address;
    const auto length = make_address(name, address);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const bool listens =
        length && socket &&
        ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), *length) == 0 &&
        ::listen(socket.get(), backlog) == 0;
    return listens ? std::move(socket) : UniqueFd();
}

bool may_know(int socket)
{
    ucred peer = {};
    socklen_t length = sizeof(peer);
    return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == 0 || peer.uid == ::geteuid());
}

void limit_waiting(int socket)
{
    const timeval limit = {1 + max_look.count(), 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/// The abstract names of this network namespace that begin so.
std::vector<std::string> names_with(const std::string& beginning)
{
    std::vector<std::string> names;
    std::ifstream sockets("/proc/net/unix");
    for (std::string line; std::getline(sockets, line);) {
        const auto at = line.find(" @" + beginning);
        if (at != line.npos)
            names.push_back(line.substr(at + 2));
    }
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end()); // a line for each connection
    return names;
}

std::string read_all(int socket)
{
    std::string text(max_answer, '\0');
    std::size_t filled = 0;
    while (filled < text.size()) {
        const auto got = ::recv(socket, text.data() + filled, text.size() - filled, 0);
        if (got <= 0)
            break;
        filled += static_cast<std::size_t>(got);
    }
    text.resize(filled);
    return text;
}

std::string ask(const std::string& name, const L2Look& look)
{
    sockaddr_un address;
    const auto length = make_address(name, address);
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!length || !socket)
        return {};
    limit_waiting(socket.get());
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), *length) < 0 ||
        !may_know(socket.get())) // nor is believed just anybody who took the name
        return {};
    if (::send(socket.get(), &look, sizeof(look), MSG_NOSIGNAL) != sizeof(look))
        return {};
    return read_all(socket.get());
}

} // namespace

std::uint64_t counter(const l2::Statistics& statistics, const std::string& name) noexcept
{
    const auto found =
        std::ranges::find(statistics, name, &std::pair<std::string, std::uint64_t>::first);
    return found == statistics.end() ? 0 : found->second;
}

L2Publisher::L2Publisher(l2::Device& device, std::string command)
    : device_(device), command_(std::move(command)),
      socket_(listen_as(name_beginning(device.interface()) + std::to_string(::getpid()))),
      stop_(::eventfd(0, EFD_CLOEXEC))
{
    if (!socket_ || !stop_)
        return;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the main thread's
    thread_ = std::thread([this] { serve(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

L2Publisher::~L2Publisher()
{
    if (!thread_.joinable())
        return;
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
}

void L2Publisher::serve() noexcept
{
    for (;;) {
        pollfd events[] = {{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
        if ((::poll(events, 2, -1) < 0 && errno != EINTR) || events[1].revents)
            return;
        try {
            tell_one();
        } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): out of memory: who asks
                                          // hears nothing
        }
    }
}

void L2Publisher::tell_one()
{
    const UniqueFd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client || !may_know(client.get()))
        return;
    limit_waiting(client.get());
    L2Look look;
    if (::recv(client.get(), &look, sizeof(look), MSG_WAITALL) != sizeof(look))
        return;
    auto json = describe(device_);
    json["pid"] = ::getpid();
    json["command"] = command_;
    json["counters"] = to_json(device_.statistics());
    const auto wait =
        std::min<std::chrono::milliseconds>(std::chrono::milliseconds(look.wait), max_look);
    if (look.wait)
        json["peers"] = look_around(device_, look.service, wait);
    const auto text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    static_cast<void>(::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL));
}

std::vector<Json> collect_l2_statistics(const std::string& interface, const L2Look& look)
{
    std::vector<Json> all;
    for (const auto& name : names_with(name_beginning(interface))) {
        auto json = Json::parse(ask(name, look), nullptr, false);
        if (json.is_object())
            all.push_back(std::move(json));
    }
    return all;
}

std::string printable(std::string_view name)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (c >= ' ' && c <= '~')
            text += c;
        else
            text += {'\\', 'x', digits[byte / 16], digits[byte % 16]};
    }
    return text;
}

Json to_json(const l2::Peer& peer)
{
    return {{"address", peer.address.to_string()},
            {"name", printable(peer.name)},
            {"service", peer.service},
            {"frame_limit", peer.frame_limit},
            {"authenticated", peer.authenticated},
            {"fault_delay", peer.fault_delay}};
}

Json describe(const l2::Device& device)
{
    return {{"interface", device.interface()},
            {"address", device.address().to_string()},
            {"port", l2::to_string(device.port())},
            {"port_reason", device.port_reason()},
            {"frame_limit", device.frame_limit()}};
}

Json look_around(l2::Device& device, std::uint32_t service, std::chrono::milliseconds wait)
{
    auto peers = Json::array();
    for (const auto& peer : device.discover(service, wait))
        peers.push_back(to_json(peer));
    return peers;
}

} // namespace p2prdma::tool
