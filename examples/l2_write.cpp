// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// One machine writes text into another's memory, in Ethernet frames without IP.
//   l2_write eth0                             waits for it
//   l2_write eth0 02:00:00:00:00:01 "text"    writes it
#include <p2prdma/l2.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace l2 = p2prdma::l2;

namespace {

constexpr std::uint32_t service = 4711;

auto soon()
{
    return std::chrono::steady_clock::now() + std::chrono::seconds(30);
}

/// Where the text goes: told to the writer when it connects.
struct Place {
    std::uint64_t address = 0;
    std::uint32_t key = 0;
    std::uint32_t length = 0;
};

l2::Completion wait_for(l2::CompletionQueue& queue)
{
    std::array<l2::Completion, 1> done;
    if (queue.wait(done, soon()) == 0)
        throw std::runtime_error("nothing happened for 30 seconds");
    if (done[0].status != l2::Status::success)
        throw std::runtime_error(l2::to_string(done[0].status));
    return done[0];
}

void wait_for_text(l2::Device& device)
{
    const l2::ProtectionDomain domain(device);
    std::array<std::byte, 4096> memory = {};
    const l2::Region region(domain, memory, l2::Access::local_write | l2::Access::remote_write);
    const Place place = {reinterpret_cast<std::uint64_t>(memory.data()), region.key(),
                         memory.size()};
    l2::CompletionQueue queue(device, 256);
    l2::Listener listener(device, service);
    const auto request = listener.wait(soon());
    if (!request)
        throw std::runtime_error("nobody came");
    auto pair =
        listener.accept(*request, domain, queue, queue, {}, std::as_bytes(std::span(&place, 1)));
    // A write alone tells this side nothing; one with an immediate also completes a receive.
    if (pair.post_receive({}) != std::errc())
        throw std::runtime_error("the writer has gone");
    const auto length = std::min<std::size_t>(wait_for(queue).immediate, memory.size());
    std::printf("%.*s\n", static_cast<int>(length), reinterpret_cast<const char*>(memory.data()));
}

void write_text(l2::Device& device, const l2::MacAddress& peer, std::span<std::byte> text)
{
    const l2::ProtectionDomain domain(device);
    const l2::Region region(domain, text, l2::Access::local_read);
    l2::CompletionQueue queue(device, 256);
    auto pair = l2::QueuePair::connect(domain, peer, service, queue, queue, soon());
    Place place;
    std::memcpy(&place, pair.peer_data().data(), std::min(sizeof(place), pair.peer_data().size()));
    const auto length = std::min(static_cast<std::uint32_t>(text.size()), place.length);
    const std::array segments = {l2::Segment{text.data(), length, region.key()}};
    l2::SendRequest request;
    request.operation = l2::Operation::write;
    request.segments = segments;
    request.remote = {place.address, place.key};
    request.immediate = length;
    request.has_immediate = true;
    if (pair.post_send(request) != std::errc())
        throw std::runtime_error("the peer has gone");
    wait_for(queue); // now it is in the peer's memory
}

} // namespace

int main(int argc, char** argv)
try {
    const auto peer = argc == 4 ? l2::MacAddress::parse(argv[2]) : std::nullopt;
    if (argc != 2 && !peer)
        throw std::runtime_error("usage: l2_write INTERFACE [ADDRESS TEXT]");
    auto device = l2::Device::open(argv[1]);
    if (peer)
        write_text(device, *peer, std::as_writable_bytes(std::span(argv[3], std::strlen(argv[3]))));
    else
        wait_for_text(device);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "l2_write: %s\n", error.what());
    return 1;
}
