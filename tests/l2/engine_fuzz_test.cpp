// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Frames by chance thrown at an engine with a connection; most look as if they came from its peer.
#include "tests/l2/engine_target.hpp"

#include "tests/l2/random_frame.hpp"
#include "tests/l2/raw_frame.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;

namespace {

constexpr unsigned all = 0x1f;

/// Any frame, or a request of one frame: what is not whole is refused early.
wire::Frame any_or_request(wire::RandomFrames& frames)
{
    constexpr unsigned only = wire::first | wire::last;
    constexpr std::array requests = {0, 1, 2, 4, 5};
    if (frames.number<std::uint8_t>() % 4 == 0)
        return frames.next();
    const auto& rule = wire::rules.at(requests.at(frames.number<std::uint8_t>() % requests.size()));
    auto frame = frames.next(rule);
    while ((frame.header.flags & only) != only)
        frame = frames.next(rule);
    return frame;
}

std::vector<std::byte> next_frame(wire::RandomFrames& frames)
{
    auto frame = any_or_request(frames);
    frame.vlan.reset();
    if (frames.chance())
        frame.header.flags &= static_cast<std::uint8_t>(~unsigned{wire::sealed});
    if (!(frame.header.flags & wire::sealed))
        frame.seal = {};
    if (frame.remote && frames.chance())
        frame.remote->length = static_cast<std::uint32_t>(frame.payload.size());
    auto bytes = wire::padded(wire::raw_frame(frame));
    if (frames.number<std::uint8_t>() % 8 == 0)
        bytes[frames.number<std::uint16_t>() % bytes.size()] = frames.number<std::byte>();
    return bytes;
}

/// How many frames were processed of so many thrown.
std::uint64_t bombard(int count)
{
    wire::RandomFrames frames(11);
    std::uint64_t processed = 0;
    std::uint64_t seed = 1;
    auto target = std::make_unique<EngineTarget>(seed);
    for (int i = 0; i < count; i++) {
        const unsigned aim = frames.chance() ? all : frames.number<std::uint8_t>() & all;
        target->feed(next_frame(frames), aim);
        if (i % 64 == 0 || !target->is_connected())
            REQUIRE(target->is_unharmed());
        if (target->is_connected())
            continue;
        processed += target->processed();
        target = std::make_unique<EngineTarget>(++seed);
    }
    REQUIRE(target->is_unharmed());
    return processed + target->processed();
}

} // namespace

TEST_CASE("R3.8: 10^5 frames by chance at an engine write nowhere but where they may")
{
    CHECK(bombard(100'000) > 2'000);
}

TEST_CASE("R3.8: 10^7 frames by chance at an engine write nowhere but where they may", "[.long]")
{
    CHECK(bombard(10'000'000) > 200'000);
}
