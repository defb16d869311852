// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/queue_pair_state.hpp"

#include "p2prdma/error.hpp"

#include <mutex>
#include <string>

namespace p2prdma::l2 {

struct Listener::State {
    State(const Device& device_, std::uint32_t service_, unsigned backlog)
        : device(device_.state()), service(service_)
    {
        if (service == 0 || backlog == 0)
            throw Error(Errc::bad_argument, "a service has a number, and room for a request");
        device->check_segment();
        event.open();
        const std::lock_guard lock(device->mutex);
        if (!device->engine.pending().listen(service, backlog, &event))
            throw Error({EADDRINUSE, std::system_category()},
                        "service " + std::to_string(service) + " is served already");
    }
    ~State()
    {
        const std::lock_guard lock(device->mutex);
        device->engine.pending().unlisten(service);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    std::shared_ptr<Device::State> device;
    std::uint32_t service;
    UniqueEvent event;
};

struct Listener::Request::State {
    State(std::shared_ptr<Device::State> device_, std::uint64_t id_)
        : device(std::move(device_)), id(id_)
    {
    }
    ~State()
    {
        const std::lock_guard lock(device->mutex);
        device->engine.reject(id, {}, Device::State::now());
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    std::shared_ptr<Device::State> device;
    std::uint64_t id; ///< of nothing any more once it was answered
};

Listener::Listener(const Device& device, std::uint32_t service, unsigned backlog)
    : state_(std::make_unique<State>(device, service, backlog))
{
}

Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;
Listener::~Listener() = default;

std::optional<Listener::Request> Listener::wait(std::chrono::steady_clock::time_point until)
{
    auto& device = *state_->device;
    std::optional<Request> request;
    Device::State::Lock lock(device.mutex);
    (void)device.drive(lock, until, {.event = state_->event.fd()}, [&] {
        const auto* const pending =
            device.engine.pending().take(state_->service, Device::State::now());
        if (pending == nullptr)
            return false;
        request = Request{pending->peer, pending->private_data,
                          std::make_shared<Request::State>(state_->device, pending->id)};
        return true;
    });
    return request;
}

int Listener::fd() const noexcept
{
    return state_->event.fd();
}

QueuePair Listener::accept(const Request& request, const ProtectionDomain& domain,
                           const CompletionQueue& send_queue, const CompletionQueue& receive_queue,
                           const QueuePairOptions& options, std::span<const std::byte> private_data)
{
    auto state = std::make_unique<QueuePair::State>(domain, send_queue, receive_queue, options,
                                                    private_data);
    auto& device = state->device();
    Device::State::Lock lock(device.mutex);
    state->connection =
        device.engine.accept(request.state->id, state->setup(), Device::State::now());
    if (state->connection == nullptr) {
        lock.unlock();
        throw Error({ECONNABORTED, std::system_category()},
                    "the request of " + request.peer.to_string() +
                        " has gone, or there is no room for a queue pair");
    }
    state->peer_data = request.private_data;
    device.kick();
    lock.unlock();
    return QueuePair(std::move(state));
}

void Listener::reject(const Request& request, std::span<const std::byte> private_data) noexcept
{
    const std::lock_guard lock(state_->device->mutex);
    state_->device->engine.reject(request.state->id, private_data, Device::State::now());
}

} // namespace p2prdma::l2
