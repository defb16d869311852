// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A client's TCP connections.
#include "tools/p2prdmad/client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace p2prdma::daemon {
namespace {

constexpr std::uint32_t longest_wait_ms = 10000;
/// For the rest of a message of which the kernel took a part only.
constexpr auto send_limit = std::chrono::seconds(10);

std::uint16_t port_of(const p2prdma_stream_request& request)
{
    if (le(request.port) == 0 || le(request.port) > 65535)
        throw Refusal(EINVAL, "there is no such port");
    return static_cast<std::uint16_t>(le(request.port));
}

std::chrono::milliseconds wait_of(const p2prdma_stream_request& request)
{
    if (le(request.wait_ms) > longest_wait_ms)
        throw Refusal(EINVAL, "the wait is too long");
    return std::chrono::milliseconds(le(request.wait_ms));
}

/// Takes the first `count` off.
void drop(std::vector<std::byte>& bytes, std::size_t count)
{
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

} // namespace

/// Tries at once, and again whenever the stream may be ready, until the limit: then EAGAIN.
Outcome Client::patiently(const std::shared_ptr<Stream>& stream, Clock::duration limit,
                          const std::function<std::optional<Reply>()>& attempt)
{
    if (auto reply = attempt())
        return *reply;
    if (limit == Clock::duration::zero())
        return Reply::failed(EAGAIN);
    return Wait{.resume = [attempt](bool expired) -> std::optional<Reply> {
                    auto reply = attempt();
                    if (!reply && expired)
                        return Reply::failed(EAGAIN);
                    return reply;
                },
                .limit = limit,
                .watch =
                    [stream] {
                        return pollfd{stream->fd(), stream->events(), 0};
                    }};
}

std::uint32_t Client::add_stream(Kind kind, std::shared_ptr<Stream> stream)
{
    Draft draft(*this, kind);
    draft.entry.object = std::move(stream);
    return add(draft);
}

Reply Client::stream_listen(const p2prdma_stream_request& request)
{
    check_quota(Kind::listener);
    const auto id = add_stream(Kind::listener, services_.network.listen(port_of(request)));
    return Reply::with(p2prdma_id_reply{.id = le(id), .__reserved = 0});
}

Outcome Client::stream_accept(const p2prdma_stream_request& request)
{
    check_quota(Kind::stream);
    const auto listener = get<Stream>(Kind::listener, le(request.id));
    return patiently(listener, wait_of(request), [this, listener]() -> std::optional<Reply> {
        auto stream = listener->accept();
        if (!stream)
            return std::nullopt;
        const auto id = add_stream(Kind::stream, std::move(stream));
        return Reply::with(p2prdma_id_reply{.id = le(id), .__reserved = 0});
    });
}

Outcome Client::stream_connect(const p2prdma_stream_request& request)
{
    check_quota(Kind::stream);
    const auto host = text_of(request.host);
    if (host.empty() || host.size() == sizeof(request.host))
        throw Refusal(EINVAL, "the host's name is empty or has no end");
    const auto limit = wait_of(request);
    const auto stream = services_.network.connect(host, port_of(request));
    return patiently(stream, limit, [this, stream]() -> std::optional<Reply> {
        if (!stream->connected())
            return std::nullopt;
        const auto id = add_stream(Kind::stream, stream);
        return Reply::with(p2prdma_id_reply{.id = le(id), .__reserved = 0});
    });
}

Outcome Client::stream_send(std::span<const std::byte> body)
{
    constexpr auto header = offsetof(p2prdma_stream_send_request, data);
    p2prdma_stream_send_request request = {};
    if (body.size() < header)
        throw Refusal(EPROTO, "the request is too short");
    std::memcpy(&request, body.data(), body.size());
    const std::size_t length = le(request.length);
    if (length == 0 || length > body.size() - header)
        throw Refusal(EINVAL, "the length is out of range");
    const auto stream = get<Stream>(Kind::stream, le(request.id));
    const auto data = body.subspan(header, length);
    auto rest = std::make_shared<std::vector<std::byte>>(data.begin(), data.end());
    const auto sent = stream->send(*rest);
    if (!sent)
        return Reply::failed(EAGAIN);
    drop(*rest, *sent);
    if (rest->empty())
        return Reply();
    return send_rest(stream, rest);
}

/// All or nothing was promised: once a part is sent, so must be the rest.
Wait Client::send_rest(const std::shared_ptr<Stream>& stream,
                       const std::shared_ptr<std::vector<std::byte>>& rest)
{
    return {.resume = [stream, rest](bool expired) -> std::optional<Reply> {
                drop(*rest, stream->send(*rest).value_or(0));
                if (rest->empty())
                    return Reply();
                if (!expired)
                    return std::nullopt;
                stream->shutdown();
                return Reply::failed(EPIPE);
            },
            .limit = send_limit,
            .watch =
                [stream] {
                    return pollfd{stream->fd(), POLLOUT, 0};
                }};
}

Outcome Client::stream_receive(const p2prdma_stream_request& request)
{
    const std::size_t length = le(request.length);
    if (length == 0 || length > P2PRDMA_CONTROL_BODY)
        throw Refusal(EINVAL, "the length is out of range");
    const auto stream = get<Stream>(Kind::stream, le(request.id));
    return patiently(stream, wait_of(request), [stream, length]() -> std::optional<Reply> {
        std::array<std::byte, P2PRDMA_CONTROL_BODY> bytes;
        const auto received = stream->receive(std::span(bytes).first(length));
        if (!received)
            return std::nullopt;
        return Reply::with(std::span<const std::byte>(bytes).first(*received));
    });
}

Reply Client::stream_close(const p2prdma_id_request& request)
{
    const auto found = entries_.find(le(request.id));
    if (request.__reserved)
        throw Refusal(EINVAL, "a reserved value is not 0");
    if (found == entries_.end() ||
        (found->second.kind != Kind::listener && found->second.kind != Kind::stream))
        throw Refusal(ENOENT, "the client has no such stream");
    std::static_pointer_cast<Stream>(found->second.object)->shutdown();
    entries_.erase(found);
    return {};
}

} // namespace p2prdma::daemon
