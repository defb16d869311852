// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/crc32c.hpp"
#include "lib/l2/wire.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tools/p2prdma/capture_file.hpp"
#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/interrupt.hpp"
#include "tools/p2prdma/l2_device.hpp"
#include "tools/p2prdma/l2_frame_text.hpp"
#include "tools/p2prdma/l2_service.hpp"
#include "tools/p2prdma/l2_statistics.hpp"
#include "tools/p2prdma/latency.hpp"
#include "tools/p2prdma/output_file.hpp"
#include "tools/p2prdma/patience.hpp"
#include "tools/p2prdma/pieces.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch_all.hpp>
#include <sys/stat.h>

using namespace p2prdma;
using namespace p2prdma::tool;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

void write_file(const std::string& path, const std::string& text, mode_t mode)
{
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

std::string read_file(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::uint32_t word(const std::string& bytes, std::size_t at)
{
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
}

std::string code_of(auto&& call)
{
    try {
        call();
    } catch (const Failure& failure) {
        return failure.code();
    }
    return "none";
}

/// A whole frame: what compose() makes, the payload, and its CRC32C.
std::vector<std::byte> frame_of(const l2::wire::Frame& frame, std::size_t payload)
{
    std::array<std::byte, l2::wire::max_prefix> prefix = {};
    const auto size = l2::wire::compose(frame, payload, 0x88b5, prefix);
    std::vector<std::byte> bytes(prefix.begin(),
                                 prefix.begin() + static_cast<std::ptrdiff_t>(size));
    bytes.resize(size + payload);
    const auto crc = l2::crc32c(0, std::span(bytes).subspan(14));
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<std::byte>(crc >> shift));
    return bytes;
}

} // namespace

TEST_CASE("latency: quantiles are right to 1 %")
{
    Latency latency;
    CHECK(latency.quantile(0.5) == 0ns);
    for (std::uint64_t i = 1; i <= 100000; i++)
        latency.add(std::chrono::nanoseconds(i * 10));
    CHECK(latency.count() == 100000);
    CHECK(latency.min() == 10ns);
    CHECK(latency.max() == 1ms);
    CHECK(latency.mean() == 500005ns);
    for (const double share : {0.001, 0.25, 0.5, 0.99, 0.999})
        CHECK(static_cast<double>(latency.quantile(share).count()) ==
              Catch::Approx(share * 1e6).epsilon(0.01));
    CHECK(latency.quantile(1) == 1ms);
}

TEST_CASE("latency: any time fits, and small ones exactly")
{
    Latency latency;
    latency.add(std::chrono::nanoseconds::max());
    CHECK(latency.quantile(0.5) == std::chrono::nanoseconds::max());
    for (int i = 0; i < 1000; i++)
        latency.add(std::chrono::nanoseconds(255));
    CHECK(latency.quantile(0.5) == 255ns);
    latency.add(-5ns); // a clock that went back
    CHECK(latency.min() == 0ns);
}

TEST_CASE("l2 service: greeting and welcome survive the way")
{
    const L2Greeting greeting = {L2Greeting::Purpose::echo, 8u << 20, 8};
    CHECK(L2Greeting::decode(greeting.encode()) == greeting);
    const L2Welcome welcome = {0x123456789abcdef0, 1ull << 40, 0xfedcba98};
    CHECK(L2Welcome::decode(welcome.encode()) == welcome);
}

TEST_CASE("l2 service: what is out of range is refused")
{
    CHECK_FALSE(L2Greeting::decode({}));
    CHECK_FALSE(L2Welcome::decode({}));
    const auto refused = [](L2Greeting greeting) { return !L2Greeting::decode(greeting.encode()); };
    using enum L2Greeting::Purpose;
    CHECK(refused({static_cast<L2Greeting::Purpose>(0), 1, 1}));
    CHECK(refused({static_cast<L2Greeting::Purpose>(4), 1, 1}));
    CHECK(refused({sink, L2Greeting::max_size + 1, 1}));
    CHECK(refused({sink, 1, 0}));
    CHECK(refused({sink, 1, L2Greeting::max_window + 1}));
    CHECK(refused({echo, 1u << 20, 65})); // more memory than a connection gets
    CHECK_FALSE(refused({echo, 1u << 20, 64}));
    auto bytes = L2Greeting{sink, 1, 1}.encode();
    CHECK(L2Greeting::decode(bytes));
    CHECK_FALSE(L2Greeting::decode(std::span(bytes).first(bytes.size() - 1)));
    bytes[7] = std::byte{2}; // the version
    CHECK_FALSE(L2Greeting::decode(bytes));
}

TEST_CASE("l2 key: 32 bytes or 64 digits, and its owner's alone")
{
    const Directory directory;
    const auto path = directory / "key";
    write_file(path, std::string(32, '\x5a'), 0600);
    CHECK(read_l2_key(path) == std::vector<std::byte>(32, std::byte{0x5a}));
    write_file(path, std::string(64, 'a') + "\n", 0600);
    CHECK(read_l2_key(path) == std::vector<std::byte>(32, std::byte{0xaa}));
    for (const auto& bad : {std::string(31, 'x'), std::string(33, 'x'), std::string(63, 'a'),
                            std::string(62, 'a') + "xy", std::string(66, 'a')}) {
        write_file(path, bad, 0600);
        CHECK(code_of([&] { read_l2_key(path); }) == "bad_key");
    }
    write_file(path, std::string(32, 'k'), 0640);
    CHECK(code_of([&] { read_l2_key(path); }) == "key_not_private");
    CHECK(code_of([&] { read_l2_key(directory / "none"); }) == "failed");
}

TEST_CASE("l2 options: what cannot go together is refused")
{
    L2Options none;
    L2Options some;
    some.interface = "eth0";
    CHECK_FALSE(wants_l2(none, "", "0", "efa_0"));
    CHECK(wants_l2(some, "", "", ""));
    CHECK(wants_l2(some, "l2", "", ""));
    CHECK(code_of([&] { wants_l2(none, "l2", "", ""); }) == "usage");
    CHECK(code_of([&] { wants_l2(some, "card", "", ""); }) == "usage");
    CHECK(code_of([&] { wants_l2(some, "l2", "0", ""); }) == "usage");
    CHECK(code_of([&] { wants_l2(some, "l2", "", "efa_0"); }) == "usage");
}

TEST_CASE("l2 stat: the name of a peer does nothing to a terminal, and is valid JSON")
{
    l2::Peer peer;
    peer.name = std::string("bob \x1b[2J\r\n\xff\x7f~") + '\0';
    const auto json = to_json(peer);
    CHECK(json["name"] == "bob \\x1b[2J\\x0d\\x0a\\xff\\x7f~\\x00");
    CHECK_NOTHROW(json.dump());
    CHECK(printable("right hand") == "right hand");
}

TEST_CASE("capture: a pcapng file of whole blocks")
{
    const Directory directory;
    const auto path = directory / "f.pcapng";
    const std::vector<std::byte> frame(61, std::byte{0x42});
    CaptureFile file(path, "eth0");
    const auto header = read_file(path).size();
    const std::chrono::system_clock::time_point time(1700000000123456789ns);
    file.write({frame, 9000, time, true});
    const auto bytes = read_file(path);
    CHECK(word(bytes, 0) == 0x0a0d0d0a);
    CHECK(word(bytes, 8) == 0x1a2b3c4d);
    std::size_t blocks = 0;
    for (std::size_t at = 0; at < bytes.size(); at += word(bytes, at + 4), blocks++) {
        REQUIRE(word(bytes, at + 4) % 4 == 0);
        CHECK(word(bytes, at + word(bytes, at + 4) - 4) == word(bytes, at + 4));
    }
    CHECK(blocks == 3);
    CHECK(word(bytes, header) == 6);
    const auto stamp = std::uint64_t{word(bytes, header + 12)} << 32 | word(bytes, header + 16);
    CHECK(stamp == 1700000000123456789u);
    CHECK(word(bytes, header + 20) == 61);
    CHECK(word(bytes, header + 24) == 9000);
    CHECK(bytes.substr(header + 28, 61) == std::string(61, '\x42'));
    CHECK(word(bytes, header + 28 + 64 + 4) == 2); // outbound
}

TEST_CASE("capture: a full disk is an error")
{
    CHECK(code_of([] { CaptureFile file("/dev/full", "eth0"); }) == "disk_full");
}

TEST_CASE("capture: a line for each frame")
{
    l2::wire::Frame frame;
    frame.header.opcode = l2::wire::Opcode::write;
    frame.header.flags = l2::wire::first | l2::wire::last | l2::wire::again;
    frame.header.dst_qp = 5;
    frame.header.epoch = 9;
    frame.header.psn = 77;
    frame.remote = {0x7f0000001000, 0x1234, 100};
    frame.ack = {12, l2::wire::Syndrome::none, 3};
    auto bytes = frame_of(frame, 100);
    CHECK(l2_frame_text(bytes, 0x88b5) ==
          "write qp 5 epoch 9 psn 77 first last again 100 bytes at 0x7f0000001000 key 0x00001234 "
          "next 12 payload 100");
    bytes[40] ^= std::byte{1};
    CHECK_THAT(l2_frame_text(bytes, 0x88b5), ContainsSubstring("bad CRC"));
    CHECK_THAT(l2_frame_text({}, 0x88b5), ContainsSubstring("too short"));
    CHECK_THAT(l2_frame_text(bytes, 0x88b6), ContainsSubstring("another EtherType"));
}

TEST_CASE("capture: an acknowledgement tells of the fault")
{
    l2::wire::Frame frame;
    frame.header.opcode = l2::wire::Opcode::ack;
    frame.header.dst_qp = 1;
    frame.ack = {8, l2::wire::Syndrome::none, 0};
    frame.fault = {l2::wire::FaultKind::delay, 1, 8, 250, 4096, 65536};
    CHECK_THAT(l2_frame_text(frame_of(frame, 0), 0x88b5),
               ContainsSubstring("fault delay psn 8 wait 250 us, 4096 bytes held, window 65536"));
}

TEST_CASE("output file: mapped, the memory is the file")
{
    const Directory directory;
    const auto path = directory / "out";
    Interrupt interrupt;
    Patience patience(interrupt, 20s);
    {
        OutputFile out(path);
        REQUIRE(out.can_map());
        const auto memory = out.map(5000);
        REQUIRE(memory.size() == 5000);
        std::ranges::fill(memory, std::byte{'x'});
        out.write(memory.first(100), patience); // is there already
        CHECK_FALSE(fs::exists(path));
        out.commit();
    }
    CHECK(read_file(path) == std::string(5000, 'x'));
    CHECK_FALSE(OutputFile("").can_map());
    CHECK_FALSE(OutputFile("-").can_map());
    CHECK_FALSE(OutputFile("/dev/null").can_map());
}

TEST_CASE("pieces: memory that is the file takes it whole")
{
    Room room = {4096, 4096, true};
    const auto pieces = cut(5ull << 30, 1 << 20, room);
    CHECK(pieces.count == 1);
    CHECK(pieces.piece_bytes == 5ull << 30);
    CHECK(pieces.fits(5ull << 30));
    CHECK(cut(0, 0, room).count == 0);
}
