// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/stream.hpp"

#include "lib/direct/link.hpp"

#include <cerrno>
#include <thread>

namespace p2prdma::direct {
namespace {

using Clock = Stream::Clock;
using Milliseconds = std::chrono::milliseconds;

/// The host waits in pieces of this length, so that a session's other threads get their turn.
constexpr Milliseconds longest_wait{500};
/// But to connect: what was looked up and tried by then is lost with the answer.
constexpr Milliseconds longest_connect{10'000};
constexpr Milliseconds pause{10};

Milliseconds wait_until(Clock::time_point deadline, p2prdma_control_op op)
{
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now());
    return std::clamp(left, Milliseconds(0),
                      op == P2PRDMA_OP_STREAM_CONNECT ? longest_connect : longest_wait);
}

Error timed_out(const char* what)
{
    return {std::make_error_code(std::errc::timed_out),
            std::string("the time was up before the host could ") + what};
}

/// Asks until the host has an answer other than EAGAIN, or the deadline has come: then nothing.
std::optional<std::size_t> ask_patiently(const Link& link, p2prdma_control_op op,
                                         p2prdma_stream_request request, std::span<std::byte> reply,
                                         Clock::time_point deadline, const char* what)
{
    for (;;) {
        const auto wait = wait_until(deadline, op);
        request.wait_ms = little(static_cast<std::uint32_t>(wait.count()));
        std::size_t length = 0;
        const int error = link.attempt(op, std::as_bytes(std::span(&request, 1)), reply,
                                       link.timeout() + wait, length);
        if (error == 0)
            return length;
        if (error != EAGAIN)
            throw Link::refusal(error, what);
        if (Clock::now() >= deadline)
            return std::nullopt;
        if (op == P2PRDMA_OP_STREAM_CONNECT)
            std::this_thread::sleep_for(pause); // too many names are looked up, which comes at once
    }
}

/// The same for a stream that is to be made.
std::shared_ptr<const HostObject> make_patiently(const std::shared_ptr<const Link>& link,
                                                 p2prdma_control_op op,
                                                 const p2prdma_stream_request& request,
                                                 Clock::time_point deadline, const char* what)
{
    p2prdma_id_reply reply = {};
    const auto length = ask_patiently(*link, op, request,
                                      std::as_writable_bytes(std::span(&reply, 1)), deadline, what);
    if (!length)
        return nullptr;
    if (*length < sizeof(reply))
        throw Error(Errc::host_mismatch, "the host's answer about a stream is too short");
    return std::make_shared<HostObject>(link, P2PRDMA_OP_STREAM_CLOSE, little(reply.id));
}

} // namespace

Stream Stream::connect(const Session& session, std::string_view host, std::uint16_t port,
                       Clock::time_point deadline)
{
    p2prdma_stream_request request = {};
    if (host.empty() || host.size() >= sizeof(request.host))
        throw Error(Errc::bad_argument, "a host's name has 1 to " +
                                            std::to_string(sizeof(request.host) - 1) +
                                            " characters");
    set_text(request.host, host);
    request.port = little(std::uint32_t{port});
    const std::string what = "connect to " + std::string(host) + ":" + std::to_string(port);
    auto object =
        make_patiently(session.link(), P2PRDMA_OP_STREAM_CONNECT, request, deadline, what.c_str());
    if (!object)
        throw timed_out(what.c_str());
    return Stream(std::move(object));
}

void Stream::send(std::span<const std::byte> data, Clock::time_point deadline)
{
    const Link& link = object_->link();
    while (!data.empty()) {
        p2prdma_stream_send_request request = {};
        const auto part = data.first(std::min(data.size(), sizeof(request.data)));
        request.id = little(object_->id());
        request.length = little(static_cast<std::uint32_t>(part.size()));
        std::transform(part.begin(), part.end(), request.data,
                       [](std::byte byte) { return std::to_integer<__u8>(byte); });
        std::size_t length = 0;
        const int error =
            link.attempt(P2PRDMA_OP_STREAM_SEND, std::as_bytes(std::span(&request, 1)), {},
                         2 * link.timeout(), length);
        if (error == 0)
            data = data.subspan(part.size());
        else if (error != EAGAIN)
            throw Link::refusal(error, "send to the peer");
        else if (Clock::now() >= deadline)
            throw timed_out("send to the peer");
        else
            std::this_thread::sleep_for(pause); // until the peer has taken something
    }
}

std::optional<std::size_t> Stream::receive(std::span<std::byte> into, Clock::time_point deadline)
{
    const auto part = into.first(std::min<std::size_t>(into.size(), P2PRDMA_CONTROL_BODY));
    p2prdma_stream_request request = {};
    request.id = little(object_->id());
    request.length = little(static_cast<std::uint32_t>(part.size()));
    return ask_patiently(object_->link(), P2PRDMA_OP_STREAM_RECEIVE, request, part, deadline,
                         "receive from the peer");
}

void Stream::receive_all(std::span<std::byte> into, Clock::time_point deadline)
{
    while (!into.empty()) {
        const auto length = receive(into, deadline);
        if (!length)
            throw timed_out("receive from the peer");
        if (*length == 0)
            throw Error(std::make_error_code(std::errc::connection_reset), "the peer has gone");
        into = into.subspan(*length);
    }
}

Listener::Listener(const Session& session, std::uint16_t port)
{
    p2prdma_stream_request request = {};
    request.port = little(std::uint32_t{port});
    const auto reply = session.link()->ask<p2prdma_id_reply>(P2PRDMA_OP_STREAM_LISTEN, request,
                                                             "listen at a port");
    object_ =
        std::make_shared<HostObject>(session.link(), P2PRDMA_OP_STREAM_CLOSE, little(reply.id));
}

std::optional<Stream> Listener::accept(Clock::time_point deadline)
{
    p2prdma_stream_request request = {};
    request.id = little(object_->id());
    auto object = make_patiently(object_->shared_link(), P2PRDMA_OP_STREAM_ACCEPT, request,
                                 deadline, "accept a connection");
    if (!object)
        return std::nullopt;
    return Stream(std::move(object));
}

} // namespace p2prdma::direct
