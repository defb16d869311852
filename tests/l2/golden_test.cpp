// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Frames against the captures in tests/golden/l2, and the captures against the specification.
// P2PRDMA_REGENERATE=1 writes both anew.
#include "tests/l2/golden_frames.hpp"

#include "lib/l2/wire_rules.hpp"
#include "tests/l2/pcap.hpp"
#include "tests/l2/raw_frame.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

using namespace p2prdma::l2;
using namespace p2prdma::l2::wire;

namespace {

const std::filesystem::path directory = "tests/golden/l2";
const std::filesystem::path specification = "Documentation/l2-wire.rst";

bool regenerate()
{
    return std::getenv("P2PRDMA_REGENERATE") != nullptr;
}

std::filesystem::path path_of(const GoldenCapture& capture)
{
    return directory / (capture.name + ".pcap");
}

/// A capture as a machine of the other byte order would have written it.
std::vector<std::byte> byte_swapped_file(std::vector<std::byte> bytes)
{
    const auto swap = [&](std::size_t at, std::size_t size) {
        std::reverse(&bytes[at], &bytes[at] + size);
    };
    for (const std::size_t at : {0, 8, 12, 16, 20})
        swap(at, 4);
    swap(4, 2);
    swap(6, 2);
    for (std::size_t at = 24; at < bytes.size();) {
        const auto size = p2prdma::l2::byte_swapped(load_big<std::uint32_t>(&bytes[at + 8]));
        for (std::size_t word = 0; word < 16; word += 4)
            swap(at + word, 4);
        at += 16 + size;
    }
    return bytes;
}

std::string hex_dump(std::span<const std::byte> bytes)
{
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i++) {
        char pair[32] = {};
        if (i % 16 == 0)
            std::snprintf(pair, sizeof pair, "%s   %04zx ", i ? "\n" : "", i);
        text += pair;
        std::snprintf(pair, sizeof pair, " %02x", std::to_integer<unsigned>(bytes[i]));
        text += pair;
    }
    return text + "\n";
}

/// "name number" of a frame, counted from 1, and its dump.
std::map<std::string, std::string> dumps()
{
    std::map<std::string, std::string> all;
    for (const auto& capture : golden_captures())
        for (std::size_t i = 0; i < capture.frames.size(); i++)
            all[capture.name + " " + std::to_string(i + 1)] = hex_dump(capture.frames[i]);
    return all;
}

/// The text with the dump after each line ".. golden NAME NUMBER" made anew.
std::string with_dumps(const std::string& text)
{
    const auto known = dumps();
    const std::string mark = ".. golden ";
    std::istringstream lines(text);
    std::string out;
    bool in_dump = false;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(mark)) {
            out += line + "\n\n::\n\n" + known.at(line.substr(mark.size())) + "\n";
            in_dump = true;
            continue;
        }
        in_dump = in_dump && (line.empty() || line == "::" || line.starts_with("   "));
        if (!in_dump)
            out += line + "\n";
    }
    return out;
}

} // namespace

TEST_CASE("R3.1: golden captures, byte for byte")
{
    for (const auto& capture : golden_captures()) {
        INFO(capture.name);
        const auto bytes = pcap_bytes(capture.frames);
        if (regenerate())
            write_file(path_of(capture), bytes);
        CHECK(file_bytes(path_of(capture)) == bytes);
    }
}

TEST_CASE("R3.1: captures of either byte order hold the same frames")
{
    for (const auto& capture : golden_captures()) {
        const auto bytes = file_bytes(path_of(capture));
        CHECK(pcap_frames(bytes) == capture.frames);
        CHECK(pcap_frames(byte_swapped_file(bytes)) == capture.frames);
        CHECK_FALSE(pcap_frames(std::span(bytes).first(bytes.size() - 1)));
    }
}

TEST_CASE("R3.1: golden frames have the EtherType and no other header; parsed and composed again "
          "they are the same")
{
    std::set<Opcode> opcodes;
    unsigned extensions = 0;
    unsigned flags = 0;
    for (const auto& capture : golden_captures()) {
        const auto frames = pcap_frames(file_bytes(path_of(capture)));
        REQUIRE(frames);
        for (const auto& bytes : *frames) {
            Frame frame;
            REQUIRE(parse(bytes, test_type, frame) == Verdict::good);
            CHECK(load_big<std::uint16_t>(&bytes[frame.vlan ? 16 : 12]) == test_type);
            CHECK(padded(raw_frame(frame)) == bytes);
            opcodes.insert(frame.header.opcode);
            extensions |= frame.header.extensions;
            flags |= frame.header.flags;
        }
    }
    CHECK(opcodes.size() == rules.size());
    CHECK(extensions == 0x7f);
    CHECK(flags == 0xdf);
}

TEST_CASE("R3.1: the specification's examples are the golden frames")
{
    const auto bytes = file_bytes(specification);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto made = with_dumps(text);
    if (regenerate() && made != text)
        write_file(specification, std::as_bytes(std::span(made)));
    else
        CHECK((made == text)); // the whole text in a report would help nobody
    CHECK(text.find(".. golden ") != std::string::npos);
}
