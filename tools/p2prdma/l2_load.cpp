// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_load.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/l2_device.hpp"

#include <algorithm>
#include <array>

namespace p2prdma::tool {
namespace {

using l2::Operation;

constexpr std::size_t at_once = 64;     // completions
constexpr unsigned between_ticks = 256; // looks
constexpr std::uint64_t max_slots_bytes = 256ull << 20;

bool is_atomic(Operation operation)
{
    return operation == Operation::fetch_add || operation == Operation::compare_swap;
}

std::uint32_t bytes_of(const L2Load::Options& options)
{
    return is_atomic(options.operation) ? 8 : options.size;
}

/// Slots of memory: many messages may be sent from, or read into, one place.
std::uint64_t slots_of(const L2Load::Options& options)
{
    const auto most = max_slots_bytes / std::max<std::uint64_t>(bytes_of(options), 8);
    return std::clamp<std::uint64_t>(most, 1, options.window);
}

std::uint64_t slot_bytes(const L2Load::Options& options)
{
    return (std::max<std::uint64_t>(bytes_of(options), 1) + 7) / 8 * 8;
}

L2Greeting greeting_for(const L2Load::Options& options)
{
    if (options.operation == Operation::send)
        return {L2Greeting::Purpose::sink, options.size, options.window};
    return {L2Greeting::Purpose::none, 0, 1};
}

l2::QueuePairOptions pair_options(const L2Load::Options& options)
{
    return {.send_entries = options.window,
            .receive_entries = 1,
            .max_reads = static_cast<std::uint8_t>(std::min(options.window, 64u))};
}

} // namespace

L2Load::L2Load(const l2::Device& device, const l2::MacAddress& peer, const Options& options)
    : options_(options), device_(device), domain_(device),
      memory_(slots_of(options) * slot_bytes(options)),
      region_(domain_, memory_.bytes(), l2::Access::local_write),
      done_(device, options.queue_pairs * (options.window + 1)),
      posted_(std::size_t{options.queue_pairs} * options.window)
{
    const auto until = Clock::now() + options.timeout;
    connections_.reserve(options.queue_pairs);
    while (connections_.size() < options.queue_pairs)
        connect(peer, until);
}

void L2Load::connect(const l2::MacAddress& peer, Clock::time_point until)
{
    auto pair = l2::QueuePair::connect(domain_, peer, options_.service, done_, done_, until,
                                       pair_options(options_), greeting_for(options_).encode());
    const auto server = L2Welcome::decode(pair.peer_data());
    if (!server)
        throw Failure(Exit::failed, "protocol", peer.to_string() + " is no p2prdma l2 serve");
    if (options_.operation != Operation::send && server->length < slot_bytes(options_))
        throw Failure(Exit::failed, "failed",
                      peer.to_string() + " offers only " + std::to_string(server->length) +
                          " bytes of memory (see --memory of serve)");
    connections_.push_back({std::move(pair), *server});
}

void L2Load::post(std::size_t connection, std::uint32_t slot)
{
    auto& [pair, server] = connections_[connection];
    const auto local = slot % slots_of(options_) * slot_bytes(options_);
    const std::array segments = {
        l2::Segment{memory_.bytes().data() + local, bytes_of(options_), region_.key()}};
    l2::SendRequest request;
    request.id = connection << 32 | slot;
    request.operation = options_.operation;
    request.segments = segments;
    request.operand = 1;
    request.inline_data = !is_atomic(options_.operation) && options_.operation != Operation::read &&
                          options_.size <= l2::max_inline;
    const auto places = std::max<std::uint64_t>(server.length / slot_bytes(options_), 1);
    request.remote = {server.address + slot % places * slot_bytes(options_), server.key};
    posted_[connection * options_.window + slot] = Clock::now();
    if (pair.post_send(request) != std::errc())
        throw Failure(Exit::peer_lost, "peer_lost",
                      "the connection to " + pair.peer().to_string() + " has ended");
    under_way_++;
}

/// Completions, if not without end there are none. \throws Failure
std::size_t L2Load::wait(std::span<l2::Completion> done)
{
    const auto until = Clock::now() + options_.timeout;
    std::size_t count = done_.poll(done);
    while (count == 0 && Clock::now() < until)
        count = options_.polling ? done_.poll(done) : done_.wait(done, until);
    if (count == 0)
        throw Failure(Exit::peer_lost, "timeout",
                      "nothing was completed for " + std::to_string(options_.timeout.count()) +
                          " seconds");
    return count;
}

std::size_t L2Load::take(Result& result, bool post_again)
{
    std::array<l2::Completion, at_once> done;
    const auto count = wait(done);
    const auto now = Clock::now();
    for (const auto& each : std::span(done).first(count)) {
        if (each.status != l2::Status::success)
            throw l2_operation_failure(device_.interface(),
                                       std::string("an RDMA ") + l2::to_string(each.operation),
                                       each.status);
        under_way_--;
        const auto connection = static_cast<std::size_t>(each.id >> 32);
        const auto slot = static_cast<std::uint32_t>(each.id);
        result.latency.add(now - posted_[connection * options_.window + slot]);
        result.operations++;
        if (post_again)
            post(connection, slot);
    }
    return count;
}

void L2Load::drain(Result& result)
{
    while (under_way_ > 0)
        take(result, false);
}

L2Load::Result L2Load::run(Clock::duration time, const std::function<void(const Result&)>& tick)
{
    Result result;
    const auto start = Clock::now();
    for (std::uint32_t slot = 0; slot < options_.window; slot++)
        for (std::size_t connection = 0; connection < connections_.size(); connection++)
            post(connection, slot);
    for (unsigned looks = 0; Clock::now() - start < time; looks++) {
        take(result, true);
        result.seconds = Clock::now() - start;
        if (looks % between_ticks == 0)
            tick(result);
    }
    drain(result);
    result.seconds = Clock::now() - start;
    return result;
}

} // namespace p2prdma::tool
