// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_server.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/patience.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace p2prdma::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t completions = 1u << 18;
constexpr std::size_t batch = 64;
constexpr auto busy_wait = std::chrono::milliseconds(20);
constexpr auto drop_interval = std::chrono::seconds(1);
/// Polls between looks at what comes seldom.
constexpr unsigned polls = 256;

constexpr auto all_access = l2::Access::local_write | l2::Access::remote_write |
                            l2::Access::remote_read | l2::Access::remote_atomic;

l2::Region offer(const l2::ProtectionDomain& domain, std::span<std::byte> memory, bool implicit)
{
    return implicit ? l2::Region::implicit(domain, memory.data(), memory.size(), all_access)
                    : l2::Region(domain, memory, all_access);
}

bool has_ended(const l2::QueuePair& pair)
{
    return pair.phase() == l2::QueuePair::Phase::closed ||
           pair.phase() == l2::QueuePair::Phase::error;
}

std::size_t slot_bytes(const L2Greeting& greeting)
{
    const bool echoes = greeting.purpose == L2Greeting::Purpose::echo;
    return echoes ? std::max<std::size_t>(greeting.size, 1) : 0;
}

l2::QueuePairOptions pair_options(const L2Greeting& greeting)
{
    const auto window =
        greeting.purpose == L2Greeting::Purpose::none ? std::uint32_t{1} : greeting.window;
    return {.send_entries = greeting.purpose == L2Greeting::Purpose::echo ? window : 1,
            .receive_entries = window};
}

} // namespace

L2Server::Session::Session(const l2::ProtectionDomain& domain, const L2Greeting& wanted)
    : greeting(wanted), memory(std::max<std::size_t>(slot_bytes(wanted) * wanted.window, 1)),
      region(domain, memory, l2::Access::local_write)
{
}

std::span<std::byte> L2Server::Session::slot(std::uint64_t number) noexcept
{
    return std::span(memory).subspan(number * slot_bytes(greeting), slot_bytes(greeting));
}

L2Server::L2Server(const l2::Device& device, const Options& options)
    : options_(options), device_(device), domain_(device), memory_(options.memory),
      region_(offer(domain_, memory_.bytes(), options.implicit)), done_(device, completions),
      listener_(device, options.service, 1024)
{
}

void L2Server::run(Patience& patience)
{
    for (;;) {
        if (options_.polling)
            for (unsigned i = 0; i < polls; i++)
                static_cast<void>(take_completions());
        look(!options_.polling, patience);
    }
}

void L2Server::look(bool sleep, Patience& patience)
{
    if (sleep)
        is_busy_ ? wait_for_more() : wait_for_anything(patience);
    patience.check("serving");
    take_requests();
    drop_ended();
}

/// Waiting in the queue answers sooner than by its descriptor, but sees no new connections.
void L2Server::wait_for_more()
{
    std::array<l2::Completion, batch> done;
    const auto count = done_.wait(done, Clock::now() + busy_wait);
    for (const auto& each : std::span(done).first(count))
        take_completion(each);
    is_busy_ = count > 0;
}

void L2Server::wait_for_anything(Patience& patience)
{
    done_.arm();
    if (take_completions() == 0) {
        std::array<pollfd, 2> events = {{{listener_.fd(), POLLIN, 0}, {done_.fd(), POLLIN, 0}}};
        patience.wait(events, drop_interval, "serving");
    }
    while (const auto count = take_completions())
        is_busy_ |= count > 0;
}

void L2Server::take_requests()
{
    while (const auto request = listener_.wait(Clock::now())) {
        try {
            take_request(*request);
        } catch (const std::exception& error) { // it has gone, or there is no memory for it
            std::fprintf(stderr, "p2prdma: no connection with %s: %s\n",
                         request->peer.to_string().c_str(), error.what());
        }
    }
}

void L2Server::take_request(const l2::Listener::Request& request)
{
    const auto greeting = L2Greeting::decode(request.private_data);
    const bool fits =
        greeting && sessions_.size() < options_.max_connections &&
        (greeting->purpose != L2Greeting::Purpose::sink || greeting->size <= options_.memory);
    if (fits)
        welcome(request, *greeting);
    else
        listener_.reject(request);
}

void L2Server::welcome(const l2::Listener::Request& request, const L2Greeting& greeting)
{
    const auto bytes = memory_.bytes();
    const L2Welcome answer = {reinterpret_cast<std::uint64_t>(bytes.data()), bytes.size(),
                              region_.key()};
    auto session = std::make_unique<Session>(domain_, greeting);
    const auto encoded = answer.encode();
    session->pair = std::make_unique<l2::QueuePair>(
        listener_.accept(request, domain_, done_, done_, pair_options(greeting), encoded));
    if (greeting.purpose != L2Greeting::Purpose::none)
        for (std::uint64_t i = 0; i < greeting.window; i++)
            receive_into(*session, i);
    const auto number = session->pair->number();
    sessions_.insert_or_assign(number, std::move(session));
}

/// Fails only if the connection has ended, which drop_ended() sees.
void L2Server::receive_into(Session& session, std::uint64_t slot)
{
    const bool echoes = session.greeting.purpose == L2Greeting::Purpose::echo;
    // Nobody reads what only has to be received: it all goes to one place.
    const auto bytes = echoes ? session.slot(slot) : memory_.bytes().first(session.greeting.size);
    const auto key = echoes ? session.region.key() : region_.key();
    const std::array segments = {
        l2::Segment{bytes.data(), static_cast<std::uint32_t>(bytes.size()), key}};
    static_cast<void>(session.pair->post_receive({slot, segments}));
}

void L2Server::echo(Session& session, const l2::Completion& completion)
{
    const std::array segments = {
        l2::Segment{session.slot(completion.id).data(), completion.length, session.region.key()}};
    l2::SendRequest request;
    request.id = completion.id;
    request.segments = segments;
    request.immediate = completion.immediate;
    request.has_immediate = completion.has_immediate;
    static_cast<void>(session.pair->post_send(request));
}

std::size_t L2Server::take_completions()
{
    std::array<l2::Completion, batch> done;
    const auto count = done_.poll(done);
    for (const auto& each : std::span(done).first(count))
        take_completion(each);
    return count;
}

void L2Server::take_completion(const l2::Completion& completion)
{
    const auto found = sessions_.find(completion.queue_pair);
    if (found == sessions_.end() || completion.status != l2::Status::success)
        return;
    auto& session = *found->second;
    const bool echoes = session.greeting.purpose == L2Greeting::Purpose::echo;
    if (completion.operation == l2::Operation::receive && echoes)
        echo(session, completion);
    else
        receive_into(session, completion.id);
}

void L2Server::drop_ended()
{
    const auto now = Clock::now();
    if (now - dropped_ < drop_interval)
        return;
    dropped_ = now;
    std::erase_if(sessions_, [](const auto& each) { return has_ended(*each.second->pair); });
}

} // namespace p2prdma::tool
