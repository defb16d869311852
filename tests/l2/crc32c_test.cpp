// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/crc32c.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

using namespace p2prdma::l2;

namespace {

std::vector<std::byte> random_bytes(std::size_t size)
{
    std::mt19937 random(1);
    std::vector<std::byte> bytes(size);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random());
    return bytes;
}

/// By the definition, bit by bit.
std::uint32_t slowly(std::span<const std::byte> bytes)
{
    std::uint32_t crc = 0xffffffff;
    for (const auto byte : bytes) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

} // namespace

TEST_CASE("Crc32c: published check values, by each way")
{
    const std::string_view digits = "123456789";
    std::array<std::byte, 32> rising = {};
    for (std::size_t i = 0; i < rising.size(); i++)
        rising[i] = static_cast<std::byte>(i);
    const std::vector<std::byte> zeros(32);
    const std::vector<std::byte> ones(32, std::byte{0xff});
    for (const auto& way : crc32c_ways()) {
        INFO(way.name);
        CHECK(way.function(0, std::as_bytes(std::span(digits))) == 0xe3069283);
        CHECK(way.function(0, zeros) == 0x8a9136aa); // these: RFC 3720, appendix B.4
        CHECK(way.function(0, ones) == 0x62a8ab43);
        CHECK(way.function(0, rising) == 0x46dd794e);
        CHECK(way.function(0, {}) == 0);
    }
}

TEST_CASE("Crc32c: all ways agree at all sizes and alignments, and in pieces")
{
    const auto bytes = random_bytes(10'000);
    const std::span all(bytes);
    std::vector<std::span<const std::byte>> pieces;
    for (std::size_t size = 0; size < 700; size++)
        pieces.push_back(all.subspan(size % 9, size));
    for (const std::size_t size : {1480, 3071, 3072, 3073, 6150, 8984, 9991})
        pieces.push_back(all.subspan(size % 9, size));
    for (const auto& piece : pieces) {
        const auto right = slowly(piece);
        const auto cut = piece.size() * 3 / 7;
        for (const auto& way : crc32c_ways()) {
            INFO(way.name << ", " << piece.size() << " bytes");
            CHECK(way.function(0, piece) == right);
            CHECK(way.function(way.function(0, piece.first(cut)), piece.subspan(cut)) == right);
        }
        CHECK(crc32c(0, piece) == right);
    }
}
