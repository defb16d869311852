// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/pcap.hpp"

#include "lib/l2/big_endian.hpp"

#include <array>
#include <fstream>
#include <iterator>

namespace p2prdma::l2 {
namespace {

constexpr std::uint32_t magic = 0xa1b2c3d4;
constexpr std::uint32_t version = 4 << 16 | 2; ///< 2.4, as two numbers of 16 bits
constexpr std::uint32_t snap_length = 0x40000;
constexpr std::uint32_t link_ethernet = 1;

void put(std::vector<std::byte>& to, std::initializer_list<std::uint32_t> words)
{
    for (const auto word : words) {
        std::array<std::byte, 4> bytes = {};
        store_big(bytes.data(), byte_swapped(word));
        to.insert(to.end(), bytes.begin(), bytes.end());
    }
}

} // namespace

std::vector<std::byte> pcap_bytes(const CapturedFrames& frames)
{
    std::vector<std::byte> all;
    put(all, {magic, version, 0, 0, snap_length, link_ethernet});
    std::uint32_t microseconds = 0;
    for (const auto& frame : frames) {
        const auto size = static_cast<std::uint32_t>(frame.size());
        put(all, {0, microseconds++, size, size});
        all.insert(all.end(), frame.begin(), frame.end());
    }
    return all;
}

std::optional<CapturedFrames> pcap_frames(std::span<const std::byte> bytes)
{
    if (bytes.size() < 24)
        return std::nullopt;
    const bool big = load_big<std::uint32_t>(bytes.data()) == magic;
    const auto word = [&](std::size_t at) {
        const auto value = load_big<std::uint32_t>(&bytes[at]);
        return big ? value : byte_swapped(value);
    };
    if (word(0) != magic || word(20) != link_ethernet)
        return std::nullopt;
    CapturedFrames frames;
    for (bytes = bytes.subspan(24); !bytes.empty();) {
        if (bytes.size() < 16 || word(8) > bytes.size() - 16)
            return std::nullopt;
        const auto frame = bytes.subspan(16, word(8));
        frames.emplace_back(frame.begin(), frame.end());
        bytes = bytes.subspan(16 + frame.size());
    }
    return frames;
}

std::vector<std::byte> file_bytes(const std::filesystem::path& path)
{
    std::ifstream file;
    file.exceptions(std::ios::badbit | std::ios::failbit);
    file.open(path, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes)
{
    std::ofstream file;
    file.exceptions(std::ios::badbit | std::ios::failbit);
    file.open(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

} // namespace p2prdma::l2
