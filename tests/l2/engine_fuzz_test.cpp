// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Frames by chance thrown at an engine with a connection; most look as if they came from its peer.
#include "tests/l2/engine_target.hpp"

#include "tests/l2/random_frame.hpp"
#include "tests/l2/raw_frame.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace p2prdma::l2;

namespace {

constexpr unsigned all = 0x3f;
using Kind = EngineTarget::Kind;

/// Any frame, or a request, or an answer, of one frame: what is not whole is refused early.
wire::Frame any_or_request(wire::RandomFrames& frames, Kind kind)
{
    unsigned only = wire::first | wire::last;
    if (kind == Kind::rich)
        only |= wire::sealed;
    constexpr std::array requests = {0, 1, 2, 4, 5};
    constexpr int answer = 3;
    if (frames.number<std::uint8_t>() % 4 == 0)
        return frames.next();
    const auto which = kind == Kind::rich && frames.number<std::uint8_t>() % 4 == 0
                           ? answer
                           : requests.at(frames.number<std::uint8_t>() % requests.size());
    const auto& rule = wire::rules.at(static_cast<std::size_t>(which));
    auto frame = frames.next(rule);
    while ((frame.header.flags & only) != only)
        frame = frames.next(rule);
    return frame;
}

std::vector<std::byte> next_frame(wire::RandomFrames& frames, Kind kind)
{
    auto frame = any_or_request(frames, kind);
    frame.vlan.reset();
    if (kind == Kind::plain && frames.chance())
        frame.header.flags &= static_cast<std::uint8_t>(~unsigned{wire::sealed});
    if (!(frame.header.flags & wire::sealed))
        frame.seal = {};
    static constexpr std::array<std::byte, EngineTarget::read_size> answer = {};
    if (frame.header.opcode == wire::Opcode::read_response && frames.chance())
        frame.payload = answer;
    if (frame.remote && frames.chance())
        frame.remote->length = static_cast<std::uint32_t>(frame.payload.size());
    auto bytes = wire::padded(wire::raw_frame(frame));
    if (frames.number<std::uint8_t>() % 8 == 0)
        bytes[frames.number<std::uint16_t>() % bytes.size()] = frames.number<std::byte>();
    return bytes;
}

struct Result {
    std::uint64_t processed = 0, answered = 0, faults = 0;
    void add(const EngineTarget& target)
    {
        processed += target.processed();
        answered += target.answered();
        faults += target.faults();
    }
};

/// What became of so many frames thrown.
Result bombard(int count, Kind kind = Kind::plain)
{
    wire::RandomFrames frames(11);
    Result result;
    std::uint64_t seed = 1;
    auto target = std::make_unique<EngineTarget>(seed, kind);
    for (int i = 0; i < count; i++) {
        const unsigned aim = frames.chance() ? all : frames.number<std::uint8_t>() & all;
        target->feed(next_frame(frames, kind), aim);
        if (i % 64 == 0 || !target->is_connected())
            REQUIRE(target->is_unharmed());
        if (target->is_connected())
            continue;
        result.add(*target);
        target = std::make_unique<EngineTarget>(++seed, kind);
    }
    REQUIRE(target->is_unharmed());
    result.add(*target);
    return result;
}

void check_rich(int count)
{
    const auto result = bombard(count, Kind::rich);
    CAPTURE(result.processed, result.answered, result.faults);
    CHECK(result.processed > static_cast<std::uint64_t>(count) / 50);
    CHECK(result.answered > 0);
    CHECK(result.faults > static_cast<std::uint64_t>(count) / 1000);
}

} // namespace

TEST_CASE("R3.8: 10^5 frames by chance at an engine write nowhere but where they may")
{
    CHECK(bombard(100'000).processed > 2'000);
}

TEST_CASE("R3.8: the same with a secret, memory whose pages come and go, and reads under way")
{
    check_rich(30'000);
}

TEST_CASE("R3.8: 10^7 frames by chance at an engine write nowhere but where they may", "[.long]")
{
    CHECK(bombard(10'000'000).processed > 200'000);
}

TEST_CASE("R3.8: the same with a secret, absent pages and reads, 10^6 times", "[.long]")
{
    check_rich(1'000'000);
}
