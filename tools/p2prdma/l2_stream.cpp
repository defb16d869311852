// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_stream.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/l2_device.hpp"

#include <algorithm>
#include <array>

namespace p2prdma::tool {
namespace {

constexpr std::uint32_t slots = 16; // each way
constexpr std::size_t slot_bytes = 1024;
constexpr auto close_limit = std::chrono::seconds(2);
constexpr l2::QueuePairOptions options = {.send_entries = slots, .receive_entries = slots};

[[noreturn]] void broken(const char* why)
{
    throw Failure(Exit::peer_lost, "peer_lost",
                  std::string("the control connection broke: ") + why);
}

} // namespace

L2Stream::L2Stream(const l2::Device& device, const l2::ProtectionDomain& domain)
    : memory_(slot_bytes * 2 * slots), region_(domain, memory_, l2::Access::local_write),
      sent_(device, slots), received_(device, slots)
{
    for (std::uint64_t i = 0; i < slots; i++)
        free_.push_back(i);
}

L2Stream::L2Stream(const l2::Device& device, const l2::ProtectionDomain& domain,
                   const l2::MacAddress& peer, std::uint32_t service, Clock::time_point until)
    : L2Stream(device, domain)
{
    pair_.emplace(l2::QueuePair::connect(domain, peer, service, sent_, received_, until, options));
    post_receives();
}

L2Stream::L2Stream(const l2::Device& device, const l2::ProtectionDomain& domain,
                   l2::Listener& listener, const l2::Listener::Request& request)
    : L2Stream(device, domain)
{
    pair_.emplace(listener.accept(request, domain, sent_, received_, options));
    post_receives();
}

L2Stream::~L2Stream()
{
    if (pair_)
        pair_->close(Clock::now() + close_limit);
}

std::span<std::byte> L2Stream::slot(std::uint64_t number) noexcept
{
    return std::span(memory_).subspan(number * slot_bytes, slot_bytes);
}

void L2Stream::post_receives()
{
    for (std::uint64_t i = slots; i < 2ull * slots; i++)
        post_receive(i);
}

/// Fails only when the connection has ended, which the completions of the others tell.
void L2Stream::post_receive(std::uint64_t number)
{
    const auto bytes = slot(number);
    const std::array segments = {
        l2::Segment{bytes.data(), static_cast<std::uint32_t>(bytes.size()), region_.key()}};
    static_cast<void>(pair_->post_receive({number, segments}));
}

std::uint64_t L2Stream::free_slot(Clock::time_point until)
{
    std::array<l2::Completion, slots> done;
    while (free_.empty()) {
        const auto count = sent_.wait(done, until);
        if (count == 0)
            broken("the peer takes nothing");
        for (const auto& each : std::span(done).first(count)) {
            if (each.status != l2::Status::success)
                broken(l2::to_string(each.status));
            free_.push_back(each.id);
        }
    }
    const auto number = free_.back();
    free_.pop_back();
    return number;
}

void L2Stream::send(std::span<const std::byte> data, Clock::time_point until)
{
    while (!data.empty()) {
        const auto number = free_slot(until);
        const auto part = data.first(std::min(data.size(), slot_bytes));
        std::ranges::copy(part, slot(number).begin());
        const std::array segments = {l2::Segment{
            slot(number).data(), static_cast<std::uint32_t>(part.size()), region_.key()}};
        l2::SendRequest request;
        request.id = number;
        request.segments = segments;
        if (pair_->post_send(request) != std::errc())
            broken("the peer has closed it");
        data = data.subspan(part.size());
    }
}

/// Whether there is one, or the connection has ended.
bool L2Stream::take_message(Clock::time_point until)
{
    std::array<l2::Completion, 1> done;
    if (received_.wait(done, until) == 0) {
        closed_ = pair_->phase() == l2::QueuePair::Phase::closed ||
                  pair_->phase() == l2::QueuePair::Phase::error;
        return closed_;
    }
    closed_ = done[0].status != l2::Status::success;
    if (closed_)
        return true;
    current_ = done[0].id;
    rest_ = slot(current_).first(std::min<std::size_t>(done[0].length, slot_bytes));
    if (rest_.empty())
        post_receive(current_);
    return !rest_.empty();
}

std::optional<std::size_t> L2Stream::receive(std::span<std::byte> into, Clock::time_point until)
{
    if (rest_.empty() && !closed_ && !take_message(until))
        return std::nullopt;
    if (closed_)
        return 0;
    const auto part = rest_.first(std::min(rest_.size(), into.size()));
    std::ranges::copy(part, into.begin());
    rest_ = rest_.subspan(part.size());
    if (rest_.empty())
        post_receive(current_);
    return part.size();
}

} // namespace p2prdma::tool
