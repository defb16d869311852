// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/posted_writes.hpp"

#include "tests/unit/lab_fake_qemu.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace lab;
using namespace lab::test;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t registers = 0xfe000000;
constexpr std::uint64_t memory = 0x3800000000;
constexpr milliseconds long_time{10000};

/// A device with memory at bus address 0 and a peer below the same switch.
struct Fixture {
    Directory directory;
    EventLoop loop;
    SharedFile ram{directory.file("ram"), 0x10000};
    Machine machine{"a", {directory.file("ram")}};
    RecordingDevice device{loop, "a.x"};
    RecordingDevice peer{loop, "a.peer"};
    std::unique_ptr<VfioUserServer> server;
    std::unique_ptr<FakeQemu> qemu;
    int done = 0;

    Fixture()
    {
        machine.add(device, "sw0");
        machine.add(peer, "sw0");
        server = std::make_unique<VfioUserServer>(loop, machine, device, directory.file("x.sock"));
        qemu = std::make_unique<FakeQemu>(loop, directory.file("x.sock"));
        qemu->handshake();
        qemu->map(0, 0x10000, ram.fd.get());
        device.command(true, true);
        peer.place(0, registers);
        peer.place(2, memory);
        peer.command(true, false);
    }
    void write(std::uint64_t to, const Bytes& data)
    {
        device.dma().write(to, data, [this](const DmaResult& result) {
            CHECK(result.error == 0);
            ++done;
        });
    }
    std::uint64_t arrived(std::size_t at = 0)
    {
        return value<std::uint64_t>(peer.bars()[2].memory, at);
    }
};

} // namespace

TEST_CASE_METHOD(Fixture, "a posted write is done before it arrives, and arrives in time",
                 "[lab][dma]")
{
    device.dma().posted().set_delay({milliseconds(20)});
    write(memory, bytes(1ULL));
    write(memory + 8, bytes(2ULL));
    write(registers, bytes(3U));
    CHECK(done == 3);
    CHECK(arrived() == 0);
    CHECK(peer.writes.empty());
    CHECK(pump(loop, [&] { return peer.writes.size() == 1; }));
    CHECK(arrived(0) == 1);
    CHECK(arrived(8) == 2);
}

TEST_CASE_METHOD(Fixture,
                 "writes to memory pass those to a device; a read of the device pushes them",
                 "[lab][dma]")
{
    device.dma().posted().set_delay({long_time});
    write(memory, bytes(1ULL));
    write(0x100, bytes(2ULL));
    CHECK(value<std::uint64_t>(ram.bytes(), 0x100) == 2);
    CHECK(arrived() == 0);
    Bytes into(8);
    device.dma().read(0x100, into, {});
    CHECK(arrived() == 0);
    device.dma().read(memory + 0x100, into, {});
    CHECK(arrived() == 1);
}

TEST_CASE_METHOD(Fixture, "what goes by message pushes, too", "[lab][dma]")
{
    device.dma().posted().set_delay({long_time});
    write(memory, bytes(1ULL));
    device.dma().write(0x4000000000, bytes(2ULL), {});
    CHECK(arrived() == 1);
}

TEST_CASE_METHOD(Fixture, "a device that breaks the order lets short writes pass", "[lab][dma]")
{
    device.dma().posted().set_delay({long_time, 8});
    write(memory + 64, pattern(64));
    write(memory, bytes(1ULL));
    CHECK(arrived() == 1);
    CHECK(arrived(64) == 0);
    device.dma().posted().set_delay({});
    CHECK(arrived(64) != 0);
}
