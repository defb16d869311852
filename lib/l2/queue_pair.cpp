// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/queue_pair_state.hpp"

#include "p2prdma/error.hpp"

#include <mutex>
#include <string>

namespace p2prdma::l2 {
namespace {

QueuePair::Phase phase_of(ConnectionState state) noexcept
{
    switch (state) {
    case ConnectionState::idle:
    case ConnectionState::request_sent:
        return QueuePair::Phase::connecting;
    case ConnectionState::reply_sent: // requests may be posted: they wait for the peer's first sign
    case ConnectionState::established:
        return QueuePair::Phase::connected;
    case ConnectionState::disconnect_sent:
        return QueuePair::Phase::closing;
    case ConnectionState::closed:
        return QueuePair::Phase::closed;
    default:
        return QueuePair::Phase::error;
    }
}

void check(const QueuePairOptions& options, std::span<const std::byte> private_data)
{
    constexpr std::uint32_t most_entries = 1U << 16;
    if (private_data.size() > max_private_data)
        throw Error(Errc::bad_argument,
                    "private data are " + std::to_string(max_private_data) + " bytes at most");
    if (options.send_entries == 0 || options.receive_entries == 0 || options.max_reads == 0 ||
        options.send_entries > most_entries || options.receive_entries > most_entries)
        throw Error(Errc::bad_argument,
                    "a queue pair has 1 to 65536 entries, and at least one read");
}

[[noreturn]] void throw_unanswered(const MacAddress& peer, bool has_secret, bool hinted)
{
    const auto what = "cannot connect to " + peer.to_string();
    if (hinted)
        throw Error({ECONNREFUSED, std::system_category()},
                    what + ": it says that it has no secret, or another (which is not "
                           "authenticated)");
    throw Error({ETIMEDOUT, std::system_category()},
                what + ": no answer" +
                    (has_secret ? ", or from one who does not know the secret" : ""));
}

[[noreturn]] void throw_refused(const MacAddress& peer, std::uint32_t reason)
{
    throw Error({ECONNREFUSED, std::system_category()},
                "cannot connect to " + peer.to_string() + ": " +
                    to_string(static_cast<RejectReason>(reason)));
}

} // namespace

CompletionClaim::CompletionClaim(std::shared_ptr<CompletionQueue::State> queue,
                                 std::uint32_t entries)
    : queue_(std::move(queue)), entries_(entries)
{
    const std::lock_guard lock(queue_->device->mutex);
    if (!queue_->ring.claim(entries_))
        throw Error(Errc::bad_argument, "the completion queue has no room for this queue pair");
}

CompletionClaim::~CompletionClaim()
{
    const std::lock_guard lock(queue_->device->mutex);
    queue_->ring.unclaim(entries_);
}

QueuePair::State::State(const ProtectionDomain& domain_, const CompletionQueue& send_queue,
                        const CompletionQueue& receive_queue, const QueuePairOptions& options_,
                        std::span<const std::byte> data)
    : domain(domain_.state()), options(options_), private_data(data.begin(), data.end()),
      sends(send_queue.state(), options.send_entries),
      receives(receive_queue.state(), options.receive_entries)
{
    check(options, data);
    if (send_queue.state()->device != domain->device ||
        receive_queue.state()->device != domain->device)
        throw Error(Errc::bad_argument, "completion queues and domain are not of one device");
    device().check_segment();
}

QueuePair::State::~State()
{
    if (connection == nullptr)
        return;
    const std::lock_guard lock(device().mutex);
    device().engine.destroy(*connection, Device::State::now());
    device().kick();
}

QueuePairSetup QueuePair::State::setup() const
{
    return {.domain = domain->number,
            .send_completions = &sends.ring(),
            .receive_completions = &receives.ring(),
            .options = options,
            .private_data = private_data};
}

QueuePair::QueuePair(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
QueuePair::QueuePair(QueuePair&&) noexcept = default;
QueuePair& QueuePair::operator=(QueuePair&&) noexcept = default;
QueuePair::~QueuePair() = default;

QueuePair QueuePair::connect(const ProtectionDomain& domain, const MacAddress& peer,
                             std::uint32_t service, const CompletionQueue& send_queue,
                             const CompletionQueue& receive_queue,
                             std::chrono::steady_clock::time_point until,
                             const QueuePairOptions& options,
                             std::span<const std::byte> private_data)
{
    if (service == 0 || peer.is_group() || peer.is_zero())
        throw Error(Errc::bad_argument, "one connects to a service of one peer");
    auto state = std::make_unique<State>(domain, send_queue, receive_queue, options, private_data);
    auto& device = state->device();
    Device::State::Lock lock(device.mutex);
    state->connection = device.engine.connect(peer, service, state->setup(), Device::State::now());
    if (state->connection == nullptr) {
        lock.unlock();
        throw Error({ENOSPC, std::system_category()}, "the device has no room for a queue pair");
    }
    const auto& connection = *state->connection;
    (void)device.drive(lock, until, {},
                       [&] { return connection.state() != ConnectionState::request_sent; });
    const auto result = connection.state();
    const auto reason = connection.handshake().reject_reason();
    const bool hinted = connection.handshake().hinted();
    state->peer_data = connection.handshake().peer_data();
    lock.unlock(); // who throws destroys the state, which needs the lock
    if (reason != 0)
        throw_refused(peer, reason);
    if (result != ConnectionState::established)
        throw_unanswered(peer, !device.options.secret.empty(), hinted);
    return QueuePair(std::move(state));
}

std::errc QueuePair::post_send(const SendRequest& request) noexcept
{
    std::size_t taken = 0;
    return post_send(std::span(&request, 1), taken);
}

std::errc QueuePair::post_send(std::span<const SendRequest> requests, std::size_t& taken) noexcept
{
    auto& device = state_->device();
    const std::lock_guard lock(device.mutex);
    const auto error = device.engine.post_send(*state_->connection, requests, taken);
    if (taken != 0)
        device.kick();
    return error;
}

std::errc QueuePair::post_receive(const ReceiveRequest& request) noexcept
{
    auto& device = state_->device();
    const std::lock_guard lock(device.mutex);
    const auto error = device.engine.post_receive(*state_->connection, request);
    if (state_->connection->has_news())
        device.kick();
    return error;
}

std::uint32_t QueuePair::number() const noexcept
{
    return state_->connection->number();
}

MacAddress QueuePair::peer() const noexcept
{
    return state_->connection->peer();
}

QueuePair::Phase QueuePair::phase() const noexcept
{
    const std::lock_guard lock(state_->device().mutex);
    return phase_of(state_->connection->state());
}

const std::vector<std::byte>& QueuePair::peer_data() const noexcept
{
    return state_->peer_data;
}

bool QueuePair::fault_delay() const noexcept
{
    const std::lock_guard lock(state_->device().mutex);
    return state_->connection->handshake().agreed(wire::feature_fault_delay);
}

std::uint32_t QueuePair::payload_limit() const noexcept
{
    const std::lock_guard lock(state_->device().mutex);
    return state_->connection->payload_limit();
}

void QueuePair::close(std::chrono::steady_clock::time_point until) noexcept
{
    auto& device = state_->device();
    auto& connection = *state_->connection;
    Device::State::Lock lock(device.mutex);
    (void)device.drive(lock, until, {}, [&] {
        return connection.idle() || phase_of(connection.state()) != Phase::connected;
    });
    device.engine.disconnect(connection, Device::State::now());
    (void)device.drive(lock, until, {},
                       [&] { return connection.state() != ConnectionState::disconnect_sent; });
}

} // namespace p2prdma::l2
