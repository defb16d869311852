// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdmad/engine.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace p2prdma::daemon {
namespace {

/// How often is looked for what rings no bell: acknowledged grants, room for replies.
constexpr auto look_again = std::chrono::milliseconds(1);
/// The same for what was not there within the time that it should take.
constexpr auto look_seldom = std::chrono::milliseconds(100);

constexpr std::size_t host(std::size_t member)
{
    return P2PRDMA_CONTROL_HOST + member;
}

constexpr std::size_t card_epoch = P2PRDMA_CONTROL_CARD + offsetof(p2prdma_control_card, epoch);
constexpr std::size_t card_polls = P2PRDMA_CONTROL_CARD + offsetof(p2prdma_control_card, polls);

} // namespace

Engine::Engine(Area area, Options options, Provider& provider, Network& network, Log& log)
    : area_(area), options_(std::move(options)), log_(log),
      grants_(area, options_.quota.grants), services_{provider,         network,
                                                      grants_,          quarantine_,
                                                      options_.quota,   options_.epoch,
                                                      options_.hostname},
      requests_(area), replies_(area)
{
}

void Engine::open()
{
    area_.store32(host(offsetof(p2prdma_control_host, magic)), P2PRDMA_CONTROL_MAGIC);
    area_.store32(host(offsetof(p2prdma_control_host, version)), P2PRDMA_CONTROL_VERSION);
    area_.store32(host(offsetof(p2prdma_control_host, epoch)), options_.epoch);
    Area::release();
    area_.store32(host(offsetof(p2prdma_control_host, state)), P2PRDMA_CONTROL_SERVING);
    options_.ring();
}

void Engine::close()
{
    pending_.clear();
    area_.store32(host(offsetof(p2prdma_control_host, state)), P2PRDMA_CONTROL_CLOSED);
    for (std::uint32_t grant = 1; grant < P2PRDMA_CONTROL_GRANT_COUNT; grant++)
        grants_.revoke(grant);
    options_.ring();
}

bool Engine::quiet() const noexcept
{
    return !joined_ || area_.load32(card_epoch) != options_.epoch || grants_.all_acknowledged();
}

void Engine::set_polling(bool polling) noexcept
{
    area_.store32(host(offsetof(p2prdma_control_host, polls)), polling);
    Area::full();
}

/// A card that stops polling looks once more after it has said so.
void Engine::call_card()
{
    Area::full();
    if (area_.load32(card_polls) == 0)
        options_.ring();
}

bool Engine::card_takes_part()
{
    const auto epoch = area_.load32(card_epoch);
    if (epoch == options_.epoch) {
        joined_ = true;
        return true;
    }
    if (joined_ || epoch == P2PRDMA_CONTROL_LEFT)
        throw EpochOver("the card's machine has left");
    return false; // it has not come yet; what is there is of a former epoch
}

void Engine::serve(Clock::time_point now)
{
    if (!card_takes_part())
        return;
    Area::acquire();
    serve_pending(now);
    serve_requests(now);
    quarantine_.sweep();
    if (grants_.take_change() || ringing_) {
        ringing_ = false;
        call_card();
    }
}

/// No more is taken than can be answered, whatever becomes of the replies.
void Engine::serve_requests(Clock::time_point now)
{
    // As many as fit into the ring at most: a card that goes on must not keep others waiting.
    for (std::uint32_t i = 0; i < P2PRDMA_CONTROL_SLOTS; i++) {
        blocked_ = replies_.room() <= pending_.size();
        if (blocked_)
            return;
        const auto request = requests_.take();
        if (!request)
            return;
        serve_one(*request, now);
    }
    blocked_ = true; // there may be more: look again
}

void Engine::serve_one(const Request& request, Clock::time_point now)
{
    if (request.epoch != options_.epoch)
        return;
    auto outcome = guarded(request, [&] { return outcome_of(request); });
    if (const auto* reply = std::get_if<Reply>(&outcome)) {
        answer(request, *reply);
        return;
    }
    auto& wait = std::get<Wait>(outcome);
    const auto end = now + wait.limit;
    pending_.push_back({request, std::move(wait), end});
}

void Engine::serve_pending(Clock::time_point now)
{
    for (auto pending = pending_.begin(); pending != pending_.end();) {
        const auto resume = [&]() -> Outcome {
            auto reply = pending->wait.resume(now >= pending->end);
            return reply ? Outcome(*reply) : Outcome(Wait());
        };
        const auto outcome = guarded(pending->request, resume);
        if (const auto* reply = std::get_if<Reply>(&outcome)) {
            answer(pending->request, *reply);
            pending = pending_.erase(pending);
        } else {
            ++pending;
        }
    }
}

Outcome Engine::guarded(const Request& request, const std::function<Outcome()>& action)
{
    try {
        return action();
    } catch (const std::exception& error) {
        const auto refusal = Refusal::of(error);
        refuse(request, refusal);
        return Reply::failed(refusal.error());
    }
}

void Engine::check(const Request& request) const
{
    if (request.length > P2PRDMA_CONTROL_BODY || !request.zeroes)
        throw Refusal(EPROTO, "the header is malformed");
    if (request.client == 0)
        throw Refusal(EPROTO, "there is no client 0");
    if (pending_of(request.client) >= P2PRDMA_CONTROL_CALLS)
        throw Refusal(EAGAIN, "too many calls at once");
}

Outcome Engine::outcome_of(const Request& request)
{
    if (request.op == P2PRDMA_OP_CLIENT_GONE) {
        client_gone(request.client);
        return Reply();
    }
    check(request);
    return client_of(request).handle(request);
}

Client& Engine::client_of(const Request& request)
{
    const auto known = clients_.find(request.client);
    if (known != clients_.end())
        return known->second;
    if (request.op != P2PRDMA_OP_HELLO)
        throw Refusal(EPROTO, "the first request is not HELLO");
    if (clients_.size() >= P2PRDMA_CONTROL_CLIENTS)
        throw Refusal(ENOSPC, "there are too many clients");
    return clients_.try_emplace(request.client, request.client, services_).first->second;
}

void Engine::client_gone(std::uint32_t number)
{
    pending_.remove_if(
        [number](const Pending& pending) { return pending.request.client == number; });
    clients_.erase(number);
    quarantine_.forget(number);
}

void Engine::refuse(const Request& request, const Refusal& refusal)
{
    refused_++;
    const auto known = clients_.find(request.client);
    const auto name = known == clients_.end() ? std::string() : known->second.name();
    log_.refusal("client " + std::to_string(request.client) +
                 (name.empty() ? "" : " (" + name + ")") + ", op " + std::to_string(request.op) +
                 ", refused with errno " + std::to_string(refusal.error()) + ": " +
                 printable(refusal.what())); // may name what the card named
}

void Engine::answer(const Request& request, const Reply& reply)
{
    replies_.put(options_.epoch, request, reply);
    served_++;
    ringing_ = true;
}

void Engine::lose(const Object& object)
{
    for (auto& [number, client] : clients_)
        client.lose(object);
    if (grants_.take_change())
        call_card();
}

std::uint32_t Engine::pending_of(std::uint32_t client) const
{
    return static_cast<std::uint32_t>(std::ranges::count_if(
        pending_, [client](const Pending& pending) { return pending.request.client == client; }));
}

void Engine::watch(std::vector<pollfd>& descriptors) const
{
    for (const auto& pending : pending_)
        if (const auto watched = pending.wait.watch(); watched.fd >= 0)
            descriptors.push_back(watched);
}

std::optional<Clock::time_point> Engine::due() const
{
    std::optional<Clock::time_point> due;
    const auto before = [&due](Clock::time_point time) {
        due = std::min(due.value_or(time), time);
    };
    const auto now = Clock::now();
    for (const auto& pending : pending_)
        before(pending.wait.watch().fd < 0 ? now + look_again : pending.end);
    if (blocked_)
        before(now + look_again);
    if (!quarantine_.empty())
        before(now + look_seldom);
    return due;
}

} // namespace p2prdma::daemon
