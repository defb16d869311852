// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/lab_fake_qemu.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <linux/pci_regs.h>

using namespace lab;
using namespace lab::test;

namespace {

constexpr std::uint64_t near_registers = 0xfe000000; // BAR 0 of the sibling below the same switch
constexpr std::uint64_t near_memory = 0x3800000000;  // its BAR 2
constexpr std::uint64_t far_registers = 0xfd000000;  // those of a device elsewhere
constexpr std::uint64_t far_memory = 0x3900000000;
constexpr std::uint64_t other_file = 0x3a00000000; // a BAR of a device of QEMU's own
constexpr std::uint64_t switch_file = 0x3b00000000;
constexpr std::uint64_t nowhere = 0x4000000000;

/// A machine with memory at 0, and devices with BARs.
struct Fixture {
    Directory directory;
    EventLoop loop;
    SharedFile ram{directory.file("ram"), 0x100000};
    SharedFile other{directory.file("other"), 0x10000};
    SharedFile below{directory.file("below"), 0x10000};
    Machine machine{"a", {directory.file("ram")}, {{directory.file("below"), "sw0"}}};
    RecordingDevice device{loop, "a.x"};
    RecordingDevice near{loop, "a.near"};
    RecordingDevice far{loop, "a.far"};
    std::unique_ptr<VfioUserServer> server;
    std::unique_ptr<FakeQemu> qemu;
    DmaEngine& dma = device.dma();
    std::vector<std::string> order;

    Fixture()
    {
        machine.add(device, "sw0");
        machine.add(near, "sw0");
        machine.add(far, "");
        server = std::make_unique<VfioUserServer>(loop, machine, device, directory.file("x.sock"));
        qemu = std::make_unique<FakeQemu>(loop, directory.file("x.sock"));
        qemu->handshake();
        qemu->map(0, 0x100000, ram.fd.get());
        qemu->map(near_memory, 0x10000);
        qemu->map(far_memory, 0x10000);
        qemu->map(other_file, 0x10000, other.fd.get());
        qemu->map(switch_file, 0x10000, below.fd.get());
        device.command(true, true);
        place(near, near_registers, near_memory);
        place(far, far_registers, far_memory);
    }
    static void place(RecordingDevice& at, std::uint64_t registers, std::uint64_t memory)
    {
        at.place(0, registers);
        at.place(2, memory);
        at.command(true, false);
    }

    struct Outcome {
        bool done = false;
        DmaResult result;
        std::uint64_t on(Route route) const { return result.routes[route]; }
    };
    DmaEngine::Done into(Outcome& outcome, const std::string& name = "")
    {
        return [this, &outcome, name](const DmaResult& result) {
            CHECK_FALSE(outcome.done);
            outcome.done = true;
            outcome.result = result;
            order.push_back(name);
        };
    }
};

bool equal(std::span<const std::byte> one, const Bytes& other)
{
    return std::equal(other.begin(), other.end(), one.begin());
}

} // namespace

TEST_CASE_METHOD(Fixture, "memory is copied at once", "[lab][dma]")
{
    Outcome write;
    Outcome read;
    auto data = pattern(5000);
    Bytes back(5000);
    dma.write(0x1234, data, into(write));
    CHECK(write.done);
    CHECK(write.result.error == 0);
    CHECK(write.on(Route::host_dram) == 5000);
    CHECK(equal(ram.bytes().subspan(0x1234), data));
    dma.read(0x1234, back, into(read));
    CHECK(read.done);
    CHECK(back == data);
    CHECK(dma.bytes_written()[Route::host_dram] == 5000);
    CHECK(dma.bytes_read()[Route::host_dram] == 5000);
    CHECK(dma.messages() == 0);
}

TEST_CASE_METHOD(Fixture, "small writes of every size arrive whole", "[lab][dma]")
{
    for (std::size_t size = 1; size <= 70; ++size) {
        Outcome outcome;
        auto data = pattern(size, unsigned(size));
        dma.write(0x8000 + size * 128 + 3, data, into(outcome));
        CHECK(equal(ram.bytes().subspan(0x8000 + size * 128 + 3), data));
    }
}

TEST_CASE_METHOD(Fixture, "a sibling below the same switch is reached through it", "[lab][dma]")
{
    Outcome memory;
    Outcome registers;
    auto data = pattern(100);
    dma.write(near_memory + 0x100, data, into(memory));
    CHECK(memory.on(Route::peer_switch) == 100);
    CHECK(equal(near.bars()[2].memory.subspan(0x100), data));
    dma.write(near_registers + 8, std::span(data).first(8), into(registers));
    CHECK(registers.on(Route::peer_switch) == 8);
    REQUIRE(near.writes.size() == 1);
    CHECK(near.writes[0].offset == 8);
    CHECK(dma.messages() == 0);
}

TEST_CASE_METHOD(Fixture, "a sibling elsewhere is reached through the host bridge", "[lab][dma]")
{
    Outcome outcome;
    dma.write(far_memory, pattern(64), into(outcome));
    CHECK(outcome.done);
    CHECK(outcome.on(Route::peer_bridge) == 64);
    CHECK(equal(far.bars()[2].memory, pattern(64)));

    // A trapped BAR elsewhere is QEMU's to find.
    Outcome trapped;
    dma.write(far_registers, pattern(8), into(trapped));
    CHECK_FALSE(trapped.done);
    qemu->answer();
    REQUIRE(pump(loop, [&] { return trapped.done; }));
    CHECK(trapped.on(Route::message) == 8);
}

TEST_CASE_METHOD(Fixture, "a file that is not the machine's memory is a peer", "[lab][dma]")
{
    Outcome elsewhere;
    Outcome same;
    dma.write(other_file + 5, pattern(64), into(elsewhere));
    CHECK(elsewhere.on(Route::peer_bridge) == 64);
    dma.write(switch_file, pattern(64), into(same));
    CHECK(same.on(Route::peer_switch) == 64);
    CHECK(equal(below.bytes(), pattern(64)));
}

TEST_CASE_METHOD(Fixture, "an IOMMU in the way leaves a far sibling to QEMU", "[lab][dma]")
{
    // The kernel maps the BAR somewhere else in the device's address space: no descriptor, and
    // the address is not the BAR's. Its own address is not mapped any more.
    qemu->unmap(0, ~0ULL);
    qemu->map(0xffffe000, 0x1000);
    Outcome mapped;
    Outcome raw;
    dma.write(0xffffe000, pattern(8), into(mapped));
    dma.write(far_memory, pattern(8), into(raw));
    qemu->answer();
    qemu->answer(ENODEV);
    REQUIRE(pump(loop, [&] { return raw.done; }));
    CHECK(mapped.on(Route::message) == 8);
    CHECK(raw.result.error == EFAULT);
    CHECK(dma.errors() == 1);

    // Even where an I/O address happens to lie in the BAR, it means something else.
    qemu->map(far_memory - 0x1000, 0x10000);
    Outcome same_number;
    dma.write(far_memory, pattern(8), into(same_number));
    CHECK_FALSE(same_number.done);
    qemu->answer();
    REQUIRE(pump(loop, [&] { return same_number.done; }));
    CHECK(far.bars()[2].memory[1] == std::byte{0});

    // The switch routes by the raw address, IOMMU or not.
    Outcome near_by;
    dma.write(near_memory, pattern(8), into(near_by));
    CHECK(near_by.on(Route::peer_switch) == 8);
}

TEST_CASE_METHOD(Fixture, "memory wins over a far sibling at the same address", "[lab][dma]")
{
    qemu->map(far_memory, 0x1000, ram.fd.get(), 0x4000);
    Outcome outcome;
    dma.write(far_memory, pattern(16), into(outcome));
    CHECK(outcome.on(Route::host_dram) == 16);
    CHECK(equal(ram.bytes().subspan(0x4000), pattern(16)));
    CHECK(far.bars()[2].memory[0] == std::byte{0});
}

TEST_CASE_METHOD(Fixture, "a sibling answers only while its memory decoding is on", "[lab][dma]")
{
    near.command(false, false);
    Outcome outcome;
    dma.write(near_memory, pattern(8), into(outcome));
    CHECK_FALSE(outcome.done);
    qemu->answer(ENODEV);
    REQUIRE(pump(loop, [&] { return outcome.done; }));
    CHECK(outcome.result.error == EFAULT);
}

TEST_CASE_METHOD(Fixture, "nothing moves while bus mastering is off", "[lab][dma]")
{
    device.command(true, false);
    Outcome outcome;
    dma.write(0x1000, pattern(8), into(outcome));
    CHECK(outcome.done);
    CHECK(outcome.result.error == EPERM);
    CHECK(ram.bytes()[0x1000] == std::byte{0});
    CHECK(dma.errors() == 1);
    dma.reset_counters();
    CHECK(dma.errors() == 0);
}

TEST_CASE_METHOD(Fixture, "a contiguous range may be many maps", "[lab][dma]")
{
    // Page by page in reverse, as an IOMMU may have it, and the last page is QEMU's.
    for (std::uint64_t i = 0; i < 16; ++i)
        qemu->map(0x70000000 + i * 0x1000, 0x1000, ram.fd.get(), (15 - i) * 0x1000);
    Outcome outcome;
    auto data = pattern(0x10000);
    dma.write(0x70000800, data, into(outcome));
    CHECK_FALSE(outcome.done);
    qemu->answer();
    REQUIRE(pump(loop, [&] { return outcome.done; }));
    CHECK(outcome.on(Route::host_dram) == 0xf800);
    CHECK(outcome.on(Route::message) == 0x800);
    CHECK(equal(ram.bytes().subspan(0xf800, 0x800), pattern(0x800)));
    Bytes second(data.begin() + 0x800, data.begin() + 0x1800);
    CHECK(equal(ram.bytes().subspan(0xe000, 0x1000), second));
}

TEST_CASE_METHOD(Fixture, "a range may cross from memory into a sibling", "[lab][dma]")
{
    near.place(2, 0x100000);
    Outcome outcome;
    auto data = pattern(64);
    dma.write(0xfffe0, data, into(outcome));
    CHECK(outcome.on(Route::host_dram) == 32);
    CHECK(outcome.on(Route::peer_switch) == 32);
    CHECK(equal(near.bars()[2].memory, Bytes(data.begin() + 32, data.end())));

    // A sibling in the middle of a mapped range is the sibling.
    near.place(2, 0x80000);
    Outcome middle;
    dma.write(0x7fff0, data, into(middle));
    CHECK(middle.on(Route::host_dram) == 16);
    CHECK(middle.on(Route::peer_switch) == 48);
}

TEST_CASE_METHOD(Fixture, "segments are filled and emptied in order", "[lab][dma]")
{
    std::array segments{DmaSegment{0x3000, 10}, DmaSegment{0x5000, 0}, DmaSegment{0x1000, 20}};
    Outcome write;
    Outcome read;
    auto data = pattern(30);
    dma.write(segments, data, into(write));
    CHECK(equal(ram.bytes().subspan(0x3000), Bytes(data.begin(), data.begin() + 10)));
    CHECK(equal(ram.bytes().subspan(0x1000), Bytes(data.begin() + 10, data.end())));
    Bytes back(30);
    dma.read(segments, back, into(read));
    CHECK(back == data);

    Outcome short_list;
    Bytes more(31);
    dma.read(segments, more, into(short_list));
    CHECK(short_list.result.error == EFAULT);
}

TEST_CASE_METHOD(Fixture, "an address range that wraps is refused", "[lab][dma]")
{
    qemu->map(~0ULL - 0xfff, 0x1000, ram.fd.get());
    Outcome outcome;
    dma.write(~0ULL - 7, pattern(16), into(outcome));
    CHECK(outcome.result.error == EFAULT);
    CHECK(ram.bytes()[0] == std::byte{0});
}

TEST_CASE_METHOD(Fixture, "a copy does not overtake a message", "[lab][dma]")
{
    Outcome first;
    Outcome second;
    Outcome third;
    dma.write(nowhere, pattern(8), into(first, "message"));
    dma.write(0x1000, pattern(8), into(second, "copy"));
    dma.write(near_registers, pattern(8), into(third, "peer"));
    CHECK_FALSE(dma.idle());
    CHECK_FALSE(second.done);
    CHECK(ram.bytes()[0x1000] == std::byte{0});
    CHECK(near.writes.empty());
    qemu->answer();
    REQUIRE(pump(loop, [&] { return third.done; }));
    CHECK(order == std::vector<std::string>{"message", "copy", "peer"});
    CHECK(equal(ram.bytes().subspan(0x1000), pattern(8)));
    CHECK(dma.idle());
}

TEST_CASE_METHOD(Fixture, "data that waits is a copy of the caller's", "[lab][dma]")
{
    Outcome first;
    Outcome second;
    dma.write(nowhere, pattern(8), into(first));
    {
        Bytes temporary = pattern(300, 9);
        dma.write(0x2000, temporary, into(second));
        std::fill(temporary.begin(), temporary.end(), std::byte{0});
    }
    qemu->answer();
    REQUIRE(pump(loop, [&] { return second.done; }));
    CHECK(equal(ram.bytes().subspan(0x2000), pattern(300, 9)));
}

TEST_CASE_METHOD(Fixture, "long messages are cut, and their data is put together", "[lab][dma]")
{
    constexpr std::size_t size = 3 * vfio_user::max_data + 100;
    Outcome outcome;
    auto data = pattern(size);
    Bytes back(size);
    dma.read(nowhere, back, into(outcome));
    std::size_t at = 0;
    while (at < size) {
        REQUIRE(pump(loop, [&] { return !qemu->requests.empty(); }));
        auto access = value<vfio_user::DmaAccess>(qemu->requests.front().body);
        CHECK(access.address == nowhere + at);
        CHECK(access.count <= vfio_user::max_data);
        auto start = data.begin() + static_cast<long>(at);
        Bytes part(start, start + static_cast<long>(access.count));
        at += access.count;
        qemu->answer(0, part);
    }
    REQUIRE(pump(loop, [&] { return outcome.done; }));
    CHECK(outcome.on(Route::message) == size);
    CHECK(back == data);
    CHECK(dma.messages() == 4);
}

TEST_CASE_METHOD(Fixture, "a request fails as a whole, and the next goes on", "[lab][dma]")
{
    Outcome first;
    Outcome second;
    std::array segments{DmaSegment{nowhere, 8}, DmaSegment{0x1000, 8}};
    dma.write(segments, pattern(16), into(first));
    dma.write(0x2000, pattern(8), into(second));
    qemu->answer(ENODEV);
    REQUIRE(pump(loop, [&] { return second.done; }));
    CHECK(first.result.error == EFAULT);
    CHECK(ram.bytes()[0x1000] == std::byte{0});
    CHECK(second.result.error == 0);
    CHECK(dma.errors() == 1);
}

TEST_CASE_METHOD(Fixture, "a read that QEMU answers short fails", "[lab][dma]")
{
    Outcome outcome;
    Bytes back(16);
    dma.read(nowhere, back, into(outcome));
    qemu->answer(0, pattern(8));
    REQUIRE(pump(loop, [&] { return outcome.done; }));
    CHECK(outcome.result.error == EFAULT);
}

TEST_CASE_METHOD(Fixture, "read-only memory is read here, and written by QEMU", "[lab][dma]")
{
    qemu->map(0xc0000, 0x1000, ram.fd.get(), 0xc0000, vfio_user::dma_map_read);
    ram.bytes()[0xc0000] = std::byte{5};
    Outcome read;
    Outcome write;
    Bytes back(1);
    dma.read(0xc0000, back, into(read));
    CHECK(back[0] == std::byte{5});
    dma.write(0xc0000, pattern(1), into(write));
    CHECK_FALSE(write.done);
    qemu->answer(EPERM);
    REQUIRE(pump(loop, [&] { return write.done; }));
    CHECK(write.result.error == EFAULT);
    CHECK(ram.bytes()[0xc0000] == std::byte{5});
}

TEST_CASE_METHOD(Fixture, "a reset drops what waits, and late answers are ignored", "[lab][dma]")
{
    Outcome first;
    Outcome second;
    Bytes back(8);
    dma.read(nowhere, back, into(first));
    dma.write(0x1000, pattern(8), into(second));
    device.function_reset();
    CHECK(first.result.error == ECANCELED);
    CHECK(second.result.error == ECANCELED);
    CHECK(dma.idle());

    device.command(true, true);
    Outcome next;
    Bytes other_back(8);
    dma.read(nowhere + 8, other_back, into(next));
    qemu->answer(0, pattern(8, 1)); // to the one that was dropped
    qemu->answer(0, pattern(8, 2));
    REQUIRE(pump(loop, [&] { return next.done; }));
    CHECK(other_back == pattern(8, 2));
    CHECK(back == Bytes(8));
}

TEST_CASE_METHOD(Fixture, "when QEMU goes, what waits is told", "[lab][dma]")
{
    Outcome outcome;
    dma.write(nowhere, pattern(8), into(outcome));
    qemu.reset();
    REQUIRE(pump(loop, [&] { return outcome.done; }));
    CHECK(outcome.result.error == ECANCELED);
}

TEST_CASE_METHOD(Fixture, "a completion may start the next request", "[lab][dma]")
{
    int steps = 0;
    std::function<void(const DmaResult&)> next = [&](const DmaResult& result) {
        CHECK(result.error == 0);
        if (++steps < 50)
            dma.write(steps % 7 ? 0x1000 : nowhere, pattern(8), next);
    };
    dma.write(nowhere, pattern(8), next);
    while (steps < 50) {
        REQUIRE(pump(loop, [&] { return !qemu->requests.empty() || steps == 50; }));
        if (!qemu->requests.empty())
            qemu->answer();
    }
    CHECK(dma.idle());
    CHECK(dma.messages() == 8);
}
