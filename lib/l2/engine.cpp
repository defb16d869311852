// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/engine.hpp"

#include <algorithm>
#include <cstring>

namespace p2prdma::l2 {
namespace {

using namespace std::chrono_literals;

constexpr Time no_room_interval = 50us;
constexpr std::size_t many_connections = 256; // they may not stay in the processor's caches
/// Times that timers are put off while frames wait which may be what they are about.
constexpr unsigned most_timers_late = 256;
constexpr unsigned rounds = 4; // of sending, before frames that came are looked at again

std::uint8_t not_zero(std::uint64_t random) noexcept
{
    return static_cast<std::uint8_t>(1 + random % 255);
}

void fill(std::array<std::uint8_t, 16>& nonce, const RandomSource& random)
{
    const std::array words = {random(), random()};
    std::memcpy(nonce.data(), words.data(), nonce.size());
}

} // namespace

Engine::Engine(Port& port, Pager& pager, const DeviceOptions& options, const RandomSource& random)
    : context_(port, pager, options, random), epoch_(not_zero(random())),
      frame_limit_(port.frame_limit()), table_(options.max_queue_pairs), frames_(port.batch()),
      warmed_(port.batch())
{
}

Engine::~Engine()
{
    (void)context_.outbox.flush();
}

void Engine::activate(Connection& connection) noexcept
{
    if (std::exchange(connection.active, true))
        return;
    active_.push_back(&connection); // new_local() made the room
}

bool Engine::progress(Time now)
{
    now_ = now;
    bool worked = has_to_send() && serve(now); // left by the call before
    worked = receive(now) || worked;
    worked = resolve(now) || worked;
    if (!backlog_ || ++timers_late_ > most_timers_late) {
        run_timers(now);
        timers_late_ = 0;
    }
    if (now >= next_tick_)
        tick(now);
    // Who was just given a message may answer it: then the acknowledgement needs no frame of its
    // own.
    if (!std::exchange(context_.handed_over, false))
        worked = serve(now) || worked;
    reap();
    return worked;
}

void Engine::transmit(Time now)
{
    now_ = now;
    (void)serve(now);
}

bool Engine::has_frames() noexcept
{
    return has_to_send() || !context_.outbox.empty() || fetch();
}

bool Engine::fetch() noexcept
{
    if (fetched_ == 0)
        fetched_ = context_.port.receive(frames_);
    return fetched_ != 0;
}

bool Engine::receive(Time now)
{
    backlog_ = false;
    if (!fetch())
        return false;
    backlog_ = fetched_ == frames_.size();
    const auto frames = std::span(frames_).first(std::exchange(fetched_, 0));
    if (table_.size() >= many_connections)
        warm(frames);
    for (const auto frame : frames)
        take(frame, now);
    return true;
}

/// Asks for what the frames' connections will need, of all at once: one after the other, each would
/// wait for the memory.
void Engine::warm(std::span<const std::span<const std::byte>> frames) noexcept
{
    std::size_t count = 0;
    for (const auto frame : frames) {
        const auto* const connection = table_.peek(wire::peek_dst_qp(frame));
        if (connection == nullptr || (count != 0 && warmed_[count - 1] == connection))
            continue;
        connection->prefetch();
        warmed_[count++] = connection;
    }
    for (const auto* const connection : std::span(warmed_).first(count))
        connection->prefetch_queues();
}

bool Engine::resolve(Time now) noexcept
{
    std::array<Pager::Resolved, 16> resolved;
    const auto count = context_.pager.take(resolved);
    for (const auto& one : std::span(resolved).first(count))
        if (auto* const connection = table_.find(static_cast<std::uint32_t>(one.token >> 32))) {
            connection->resolved(one.token, one.error, now);
            activate(*connection);
        }
    return count != 0;
}

void Engine::run_timers(Time now) noexcept
{
    while (timers_.due(now))
        if (auto* const connection = table_.find(timers_.pop()); connection != nullptr) {
            if (connection->timer > now)
                continue; // one that a nearer deadline had replaced
            connection->timer = Time::max();
            activate(*connection);
        }
}

void Engine::serve_one(Connection& connection, Time now) noexcept
{
    connection.active = false;
    if (connection.transmit(now))
        activate(connection);
    const auto due = connection.deadline();
    if (due < connection.timer) {
        connection.timer = std::max(due, now + 1us);
        timers_.push(connection.timer, connection.number());
    }
}

bool Engine::serve(Time now) noexcept
{
    blocked_ = !context_.outbox.flush();
    bool worked = false;
    for (unsigned round = 0; round < rounds && !active_.empty() && !blocked_; ++round) {
        worked = true;
        serving_.swap(active_);
        for (auto* const connection : serving_) {
            if (context_.outbox.full())
                blocked_ = !context_.outbox.flush();
            serve_one(*connection, now);
        }
        serving_.clear();
        blocked_ = !context_.outbox.flush();
    }
    return worked;
}

Time Engine::deadline() const noexcept
{
    if (blocked_)
        return now_ + no_room_interval;
    if (!active_.empty() || !context_.outbox.empty())
        return now_;
    return std::min(timers_.next(), next_tick_);
}

/// Those without an owner go when they have told their peers, or need not.
void Engine::reap() noexcept
{
    std::erase_if(dying_, [this](std::uint32_t number) {
        auto* const connection = table_.find(number);
        if (connection == nullptr || !connection->finished())
            return connection == nullptr;
        std::erase(active_, connection);
        if (const auto peer = peers_.find(connection->peer());
            peer != peers_.end() && peer->second.one == connection)
            peer->second.one = nullptr;
        table_.remove(number);
        return true;
    });
}

wire::Connect Engine::own() const noexcept
{
    wire::Connect own;
    own.epoch = epoch_;
    own.payload_limit = static_cast<std::uint16_t>(Connection::payload_of(frame_limit_, sealed()));
    own.features = (context_.options.faults == FaultMode::delay ? wire::feature_fault_delay : 0U) |
                   (sealed() ? wire::feature_sealed : 0U);
    return own;
}

/// What a new connection says of itself; nothing: there are too many.
std::optional<wire::Connect> Engine::new_local()
{
    const auto random = context_.random();
    const auto number = table_.reserve(static_cast<std::uint32_t>(random));
    if (!number)
        return std::nullopt;
    auto local = own();
    local.qp = *number;
    local.tag = static_cast<std::uint16_t>(random >> 32);
    local.psn = static_cast<std::uint32_t>(context_.random()) & wire::psn_mask;
    fill(local.nonce, context_.random);
    active_.reserve(table_.size() + 1);
    serving_.reserve(table_.size() + 1);
    dying_.reserve(table_.size() + 1);
    return local;
}

Connection* Engine::connect(const MacAddress& peer, std::uint32_t service,
                            const QueuePairSetup& setup, Time now)
{
    auto local = new_local();
    if (!local)
        return nullptr;
    local->service = service;
    local->max_reads = setup.options.max_reads;
    auto& connection = table_.put(std::make_unique<Connection>(context_, setup, peer, *local));
    connection.connect(now);
    activate(connection);
    return &connection;
}

Connection* Engine::accept(std::uint64_t request, const QueuePairSetup& setup, Time now)
{
    const auto* const pending = pending_.find(request);
    auto local = pending != nullptr ? new_local() : std::nullopt;
    if (!local)
        return nullptr;
    local->service = pending->connect.service;
    local->max_reads = setup.options.max_reads;
    auto& connection =
        table_.put(std::make_unique<Connection>(context_, setup, pending->peer, *local));
    const bool sensible = connection.accept(pending->connect, pending->private_data, now);
    pending_.remove(request);
    if (!sensible) {
        table_.remove(connection.number());
        return nullptr;
    }
    table_.note_peer(connection);
    context_.counters.add(Counter::connects);
    activate(connection);
    return &connection;
}

void Engine::reject(std::uint64_t request, std::span<const std::byte> private_data,
                    Time now) noexcept
{
    const auto* const pending = pending_.find(request);
    if (pending == nullptr)
        return;
    send_reject(pending->peer, pending->connect, RejectReason::by_application, private_data);
    pending_.remove(request);
    transmit(now);
}

std::errc Engine::post_send(Connection& connection, std::span<const SendRequest> requests,
                            std::size_t& taken) noexcept
{
    taken = 0;
    for (const auto& request : requests) {
        if (const auto error = connection.post_send(request); error != std::errc())
            return error;
        ++taken;
        activate(connection);
    }
    return {};
}

std::errc Engine::post_receive(Connection& connection, const ReceiveRequest& request) noexcept
{
    const auto error = connection.post_receive(request);
    if (connection.has_news())
        activate(connection);
    return error;
}

void Engine::disconnect(Connection& connection, Time now) noexcept
{
    connection.disconnect(now);
    activate(connection);
}

void Engine::destroy(Connection& connection, Time now) noexcept
{
    connection.disconnect(now);
    connection.detach();
    dying_.push_back(connection.number()); // new_local() made the room
    activate(connection);
}

} // namespace p2prdma::l2
