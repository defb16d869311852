// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Frames by chance through the codec: nothing but noise; noise under a right CRC; and good frames
// with some bytes changed. tests/fuzz/l2_frame.cpp does it with libFuzzer.
#include "tests/l2/frame_check.hpp"
#include "tests/l2/golden_frames.hpp"
#include "tests/l2/random_frame.hpp"
#include "tests/l2/raw_frame.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>

using namespace p2prdma::l2::wire;

namespace {

class Fuzzer {
public:
    std::vector<std::byte> next()
    {
        auto bytes = frames_.number<std::uint8_t>() % 4 ? changed() : noise();
        if (frames_.number<std::uint8_t>() % 8)
            mend_as_frame(bytes);
        return bytes;
    }

private:
    std::byte any() { return frames_.number<std::byte>(); }

    /// Noise that at least has the type, the version, and often a short length.
    std::vector<std::byte> noise()
    {
        std::vector<std::byte> bytes(frames_.number<std::uint16_t>() % 300);
        for (auto& byte : bytes)
            byte = any();
        if (bytes.size() > 30) {
            store_type(bytes);
            bytes[14] = static_cast<std::byte>(0x10 | (std::to_integer<unsigned>(bytes[14]) & 0xf));
            bytes[26] = frames_.chance() ? std::byte{0} : bytes[26];
        }
        return bytes;
    }

    static void store_type(std::vector<std::byte>& bytes)
    {
        p2prdma::l2::store_big(&bytes[12], test_type);
    }

    std::vector<std::byte> changed()
    {
        auto bytes = padded(raw_frame(frames_.next()));
        for (unsigned n = frames_.number<std::uint8_t>() % 4; n > 0; n--)
            bytes[frames_.number<std::uint16_t>() % bytes.size()] = any();
        if (frames_.number<std::uint8_t>() % 16 == 0)
            bytes.resize(frames_.number<std::uint16_t>() % bytes.size());
        return bytes;
    }

    RandomFrames frames_{7};
};

/// How many of so many frames were good; fails at the first that parses wrongly.
int parsed_good(int count)
{
    Fuzzer fuzzer;
    int good = 0;
    for (int i = 0; i < count; i++) {
        const auto bytes = fuzzer.next();
        if (!parses_right(bytes))
            FAIL("frame " << i << " of the fuzzer's");
        Frame frame;
        good += parse(bytes, test_type, frame) == Verdict::good;
    }
    return good;
}

} // namespace

TEST_CASE("R3.8: 10^5 frames by chance through the codec")
{
    CHECK(parsed_good(100'000) > 20'000);
}

TEST_CASE("R3.8: 10^7 frames by chance through the codec", "[.long]")
{
    CHECK(parsed_good(10'000'000) > 2'000'000);
}
