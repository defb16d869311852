// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_endpoint.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/l2_device.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace p2prdma::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto connect_limit = std::chrono::seconds(10);
constexpr std::uint32_t max_operation = 64u << 20;
/// Numbers below this are for people.
constexpr std::uint32_t first_made_up = 1u << 16;

std::uint32_t made_up_service()
{
    return static_cast<std::uint32_t>(random_number()) | first_made_up;
}

l2::QueuePairOptions options_for(std::uint32_t depth)
{
    return {.send_entries = depth + 1, .receive_entries = 1};
}

l2::MacAddress mac_of(const wire::Hello& hello)
{
    l2::MacAddress address;
    for (std::size_t i = 0; i < address.bytes.size(); i++)
        address.bytes[i] = std::to_integer<std::uint8_t>(hello.gid[i]);
    return address;
}

} // namespace

L2Endpoint::L2Endpoint(const l2::Device& device, const l2::ProtectionDomain& domain,
                       std::uint32_t depth, Role role)
    : Endpoint(depth), device_(device), domain_(domain), done_(device, depth + 2)
{
    set_limits(depth, max_operation);
    if (role == Role::waits) {
        service_ = made_up_service();
        listener_.emplace(device, service_, 1);
    }
}

wire::Hello L2Endpoint::address() const
{
    wire::Hello hello;
    hello.transport = wire::Transport::l2;
    hello.qp_number = pair_ ? pair_->number() : 0;
    hello.qkey = service_;
    const auto address = device_.address();
    std::ranges::transform(address.bytes, hello.gid.begin(),
                           [](std::uint8_t byte) { return std::byte{byte}; });
    return hello;
}

void L2Endpoint::accept(const l2::MacAddress& peer)
{
    const auto until = Clock::now() + connect_limit;
    while (const auto request = listener_->wait(until)) {
        if (request->peer != peer) {
            listener_->reject(*request);
            continue;
        }
        pair_.emplace(
            listener_->accept(*request, domain_, done_, done_, options_for(Endpoint::depth())));
        listener_.reset();
        return;
    }
    throw Failure(Exit::peer_lost, "peer_lost",
                  peer.to_string() + " did not connect its queue pair in time");
}

void L2Endpoint::connect(const wire::Hello& peer)
{
    if (listener_)
        return accept(mac_of(peer));
    pair_.emplace(l2::QueuePair::connect(domain_, mac_of(peer), peer.qkey, done_, done_,
                                         Clock::now() + connect_limit, options_for(depth())));
}

void L2Endpoint::post(l2::Operation operation, std::uint64_t id, const LocalRange& local,
                      const RemotePlace& remote)
{
    // As it was registered.
    auto* address = reinterpret_cast<void*>(local.address); // NOLINT(performance-no-int-to-ptr)
    const std::array segments = {l2::Segment{address, local.length, local.lkey}};
    l2::SendRequest request;
    request.id = id;
    request.operation = operation;
    request.segments = segments;
    request.remote = {remote.address, remote.rkey};
    const auto error = pair_->post_send(request);
    if (error == std::errc::not_connected)
        throw Failure(Exit::peer_lost, "peer_lost",
                      "the queue pair to " + pair_->peer().to_string() + " is no longer connected");
    if (error != std::errc())
        throw system_failure(static_cast<int>(error), std::string("cannot post an RDMA ") +
                                                          l2::to_string(operation) + " on " +
                                                          device_.interface());
}

void L2Endpoint::write(std::uint64_t id, const LocalRange& from, const RemotePlace& to)
{
    post(l2::Operation::write, id, from, to);
}

void L2Endpoint::read(std::uint64_t id, const LocalRange& into, const RemotePlace& from)
{
    post(l2::Operation::read, id, into, from);
}

std::optional<std::uint64_t> L2Endpoint::poll()
{
    std::array<l2::Completion, 1> done;
    if (done_.poll(done) == 0)
        return std::nullopt;
    if (done[0].status != l2::Status::success)
        throw l2_operation_failure(device_.interface(),
                                   std::string("an RDMA ") + l2::to_string(done[0].operation),
                                   done[0].status);
    return done[0].id;
}

} // namespace p2prdma::tool
