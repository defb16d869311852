// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/refcard_aperture.hpp"

#include "tests/unit/lab_fake_qemu.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <linux/pci_regs.h>
#include <nlohmann/json.hpp>
#include <stdexcept>

using namespace lab;
using namespace lab::test;
using vfio_user::Command;

namespace {

// The offsets are those of Documentation/refcard.rst.
constexpr std::uint64_t slot = 0x10000;
constexpr std::uint64_t win_outstanding = 0x1004;
constexpr std::uint64_t win_error = 0x1008;
constexpr std::uint64_t card_pending = 0x100c;
constexpr std::uint64_t card_mask = 0x1010;
enum Window : std::uint64_t {
    target = 0x00,
    length = 0x08,
    control = 0x10,
    errors = 0x14,
    outstanding = 0x18,
    dropped = 0x1c,
};
enum Error : std::uint32_t { outside = 1, closed = 2, refused = 4, bad_setup = 8, barred = 16 };

constexpr std::uint64_t sibling_memory = 0xe0000000;
constexpr std::uint64_t sibling_registers = 0xe1000000;
constexpr std::uint64_t elsewhere = 0x4000000; // by message

std::uint64_t reg(unsigned window, std::uint64_t offset)
{
    return 0x2000 + window * 0x40 + offset;
}

/// A card in a host, with a sibling below the same switch, and the card's own machine.
struct CardMachine {
    Directory directory;
    EventLoop loop;
    Machine host_machine{"a", {"/none"}};
    Machine card_machine{"b", {"/none"}};
    RefCard card{loop, "a.card0", 1 << 20, 0x1122334455667788};
    RecordingDevice sibling{loop, "a.x"};
    RefCardPool pool{loop, "b.pool", card};
    RefCardAperture aperture{loop, "b.aperture", card};
    std::unique_ptr<VfioUserServer> card_server;
    std::unique_ptr<VfioUserServer> pool_server;
    std::unique_ptr<VfioUserServer> aperture_server;
    std::unique_ptr<FakeQemu> host;
    std::unique_ptr<FakeQemu> pool_qemu;
    std::unique_ptr<FakeQemu> w;

    CardMachine()
    {
        host_machine.add(card, "sw0");
        host_machine.add(sibling, "sw0");
        card_machine.add(pool, "sw0");
        card_machine.add(aperture, "sw0");
        sibling.place(0, sibling_registers);
        sibling.place(2, sibling_memory);
        sibling.command(true, true);
        card_server = serve(host_machine, card, host);
        pool_server = serve(card_machine, pool, pool_qemu);
        aperture_server = serve(card_machine, aperture, w);
    }
    std::unique_ptr<VfioUserServer> serve(Machine& machine, PciDevice& device,
                                          std::unique_ptr<FakeQemu>& qemu)
    {
        std::string path = directory.file(device.name());
        auto server = std::make_unique<VfioUserServer>(loop, machine, device, path);
        qemu = std::make_unique<FakeQemu>(loop, path);
        qemu->handshake();
        enable(*qemu);
        return server;
    }
    static void enable(FakeQemu& qemu)
    {
        qemu.config_write(PCI_COMMAND, bytes(std::uint16_t{6}));
        qemu.config_write(0x82, bytes(std::uint16_t{PCI_MSIX_FLAGS_ENABLE}));
    }
    std::uint32_t read(std::uint64_t offset)
    {
        return value<std::uint32_t>(host->region_read(0, offset, 4));
    }
    void write(std::uint64_t offset, std::uint32_t data)
    {
        host->region_write(0, offset, bytes(data));
    }
    void write64(std::uint64_t offset, std::uint64_t data)
    {
        host->region_write(0, offset, bytes(data));
    }
    std::uint32_t card_read(std::uint64_t offset)
    {
        return value<std::uint32_t>(w->region_read(0, offset, 4));
    }
    void open(unsigned window, std::uint64_t to, std::uint64_t size)
    {
        write64(reg(window, target), to);
        write64(reg(window, length), size);
        write(reg(window, control), 1);
    }
    template <typename T>
    void store(std::uint64_t offset, T data)
    {
        w->post(RefCardAperture::aperture_bar, offset, bytes(data));
    }
    Bytes load(std::uint64_t offset, std::uint32_t count = 8)
    {
        return w->region_read(RefCardAperture::aperture_bar, offset, count);
    }
    std::uint16_t ask_load(std::uint64_t offset, std::uint32_t count = 8)
    {
        return w->ask(Command::region_read,
                      bytes(vfio_user::RegionAccess{offset, RefCardAperture::aperture_bar, count}));
    }
    /// Stores that cannot be combined, while the server works.
    void flood(unsigned count)
    {
        for (unsigned i = 0; i < count; ++i) {
            store(i % 2 * 8, i);
            loop.run_once(std::chrono::milliseconds(0));
        }
    }
    /// Until the server has taken what the card sent.
    void settle() { card_read(0); }
    bool requests(std::size_t count)
    {
        return pump(loop, [&] { return host->requests.size() >= count; });
    }
    std::span<std::byte> memory() { return sibling.bars()[2].memory; }
    nlohmann::json model(const char* key) { return card.describe().at(key); }
};

Bytes ones(std::size_t size = 8)
{
    return Bytes(size, std::byte{0xff});
}

vfio_user::DmaAccess access_of(const FakeQemu::Reply& request)
{
    return value<vfio_user::DmaAccess>(request.body);
}

} // namespace

TEST_CASE_METHOD(CardMachine, "the card's machine sees two functions", "[lab][card_machine]")
{
    CHECK(value<std::uint32_t>(pool_qemu->config_read(0, 4)) == 0x11011b36);
    CHECK(value<std::uint32_t>(w->config_read(0, 4)) == 0x11021b36);
    CHECK(value<std::uint32_t>(pool_qemu->region_read(0, 0, 4)) == 0x50523250);
    CHECK(value<std::uint64_t>(pool_qemu->region_read(0, 0x10, 8)) == 0x1122334455667788);
    CHECK(value<std::uint64_t>(pool_qemu->region_read(0, 0x18, 8)) == 1 << 20);
    CHECK(card_read(0) == 0x57523250);
    CHECK(card_read(4) == read(4));
    CHECK(card_read(0x10) == 0x55667788);
    CHECK(card_read(0x1000) == read(0x1000));
    CHECK(value<std::uint32_t>(pool_qemu->region_read(0, 8, 4)) == 0x9);
    CHECK(card_read(8) == 0xe);
    CHECK(value<std::uint64_t>(pool_qemu->region_read(0, 0x20, 8)) == 0);
    CHECK(card_read(0x24) == RefCard::doorbell_pages);
    CHECK((read(0x1000) & 0xffff) == RefCardWindows::count);
    CHECK(1ULL << (read(0x1000) >> 16 & 0xff) == slot);
    // Only the pool can be mapped: QEMU posts no writes to a function that has such a BAR.
    for (unsigned bar = 0; bar < 6; ++bar) {
        CHECK((pool.bars()[bar].memory_fd >= 0) == (bar == RefCardPool::memory_bar));
        CHECK(aperture.bars()[bar].memory_fd == -1);
    }
}

TEST_CASE_METHOD(CardMachine, "the card reads where the control area is", "[lab][card_machine]")
{
    write64(0x40, 0x3000);
    write64(0x48, 7ULL << 32 | 0x10000);
    CHECK(value<std::uint64_t>(pool_qemu->region_read(0, 0x40, 8)) == 0x3000);
    CHECK(value<std::uint64_t>(pool_qemu->region_read(0, 0x48, 8)) == (7ULL << 32 | 0x10000));
    CHECK(value<std::uint64_t>(w->region_read(0, 0x48, 8)) == (7ULL << 32 | 0x10000));
    pool_qemu->region_write(0, 0x4c, bytes(8U));
    w->region_write(0, 0x4c, bytes(8U));
    CHECK(read(0x4c) == 7);
}

TEST_CASE_METHOD(CardMachine, "the pool is the card's memory", "[lab][card_machine]")
{
    card.bars()[2].memory[0x1234] = std::byte{0x5a};
    CHECK(value<std::uint8_t>(pool_qemu->region_read(2, 0x1234, 1)) == 0x5a);
    pool_qemu->region_write(2, 0x4321, bytes(std::uint8_t{0xa5}));
    CHECK(card.bars()[2].memory[0x4321] == std::byte{0xa5});
}

TEST_CASE_METHOD(CardMachine, "a window is exact to the byte", "[lab][card_machine]")
{
    open(5, sibling_memory + 0x1003, 0x11);
    store(5 * slot, std::uint64_t{0x8877665544332211});
    store(5 * slot + 0x10, std::uint8_t{0x99});
    CHECK(load(5 * slot, 0x11).back() == std::byte{0x99});
    CHECK(value<std::uint64_t>(memory(), 0x1003) == 0x8877665544332211);
    CHECK(memory()[0x1013] == std::byte{0x99});
    CHECK(read(reg(5, errors)) == 0);

    store(5 * slot + 0x10, std::uint16_t{0x1111}); // half of it is outside: none is stored
    CHECK(load(5 * slot + 0x11, 1) == ones(1));
    CHECK(load(5 * slot + 0x10, 2) == ones(2));
    CHECK(memory()[0x1013] == std::byte{0x99});
    CHECK(memory()[0x1014] == std::byte{0});
    CHECK(read(reg(5, errors)) == outside);
    CHECK(read(reg(5, dropped)) == 3);
    CHECK(read(win_error) == 1 << 5);
    CHECK(card.dma().messages() == 0);
}

TEST_CASE_METHOD(CardMachine, "errors stay until each side has cleared its own",
                 "[lab][card_machine]")
{
    CHECK(load(slot) == ones());
    CHECK(read(reg(1, errors)) == closed);
    CHECK(card_read(reg(1, errors)) == closed);
    w->region_write(0, reg(1, errors), bytes(~0U));
    CHECK(card_read(reg(1, errors)) == 0);
    CHECK(read(reg(1, errors)) == closed);
    write(reg(1, errors), closed);
    CHECK(read(reg(1, errors)) == 0);
    CHECK(read(win_error) == 0);
    CHECK(card_read(reg(1, dropped)) == 1);
}

TEST_CASE_METHOD(CardMachine, "the card does not learn or change where a window leads",
                 "[lab][card_machine]")
{
    open(0, sibling_memory, 0x100);
    CHECK(card_read(reg(0, target)) == 0);
    CHECK(card_read(reg(0, length)) == 0x100);
    w->region_write(0, reg(0, length), bytes(0x1000U));
    w->region_write(0, reg(0, control), bytes(0U));
    CHECK(read(reg(0, length)) == 0x100);
    CHECK(read(reg(0, control)) == 1);
    write(reg(0, control), 0);
    CHECK(card_read(reg(0, length)) == 0);
}

TEST_CASE_METHOD(CardMachine, "a window lets loads or stores through, or both",
                 "[lab][card_machine]")
{
    constexpr std::uint32_t enabled = 1;
    constexpr std::uint32_t no_loads = 2;
    constexpr std::uint32_t no_stores = 4;
    open(0, sibling_memory, 0x100);
    write(reg(0, control), enabled | no_stores); // too late
    CHECK(read(reg(0, control)) == enabled);
    write(reg(0, control), no_stores); // too late, too
    CHECK(read(reg(0, control)) == 0);
    write(reg(0, control), enabled | no_stores);
    CHECK(read(reg(0, control)) == (enabled | no_stores));
    store(0, std::uint64_t{5});
    CHECK(load(0) == bytes(std::uint64_t{0}));
    CHECK(read(reg(0, errors)) == barred);
    CHECK(read(reg(0, dropped)) == 1);

    write(reg(0, control), 0);
    CHECK(read(reg(0, control)) == no_stores);
    write(reg(0, control), enabled | no_loads);
    store(0, std::uint64_t{5});
    CHECK(load(0) == ones());
    CHECK(value<std::uint64_t>(memory(), 0) == 5);
    CHECK(read(reg(0, dropped)) == 2);
    write(reg(0, control), 0);
    write(reg(0, control), enabled | no_loads | no_stores);
    CHECK(load(0) == ones());
}

TEST_CASE_METHOD(CardMachine, "an enabled window is not retargeted", "[lab][card_machine]")
{
    open(0, sibling_memory, 0x100);
    write64(reg(0, target), 0);
    write64(reg(0, length), 0x1000);
    CHECK(read(reg(0, target)) == sibling_memory);
    CHECK(read(reg(0, length)) == 0x100);
    CHECK(read(reg(0, errors)) == bad_setup);
}

TEST_CASE_METHOD(CardMachine, "a window with a bad range stays closed", "[lab][card_machine]")
{
    auto [to, size] = GENERATE(table<std::uint64_t, std::uint64_t>(
        {{0x1000, 0}, {0x1000, slot + 1}, {~0ULL - 6, 8}, {0, ~0ULL}}));
    open(0, to, size);
    CHECK(read(reg(0, control)) == 0);
    CHECK(read(reg(0, errors)) == bad_setup);
}

TEST_CASE_METHOD(CardMachine, "contiguous stores are one write of 64 bytes", "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    auto data = pattern(128);
    for (std::uint64_t at = 0; at < 128; at += 8)
        store(at, value<std::uint64_t>(data, at));
    for (std::uint64_t line = 0; line < 2; ++line) {
        REQUIRE(requests(1));
        auto access = access_of(host->requests.front());
        CHECK(access.address == elsewhere + 64 * line);
        CHECK(access.count == 64);
        CHECK(std::equal(data.begin() + 64 * line, data.begin() + 64 * (line + 1),
                         host->requests.front().body.begin() + sizeof(access)));
        host->answer();
    }
}

TEST_CASE_METHOD(CardMachine, "what does not follow is a write of its own, in order",
                 "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    open(1, elsewhere + 0x80, slot);
    store(0x30, 1ULL);
    store(0x38, std::uint16_t{2});
    store(0x3a, std::uint8_t{3});  // pieces of any size are put together
    store(0x3c, std::uint32_t{4}); // a gap
    store(0x40, 5ULL);             // the next line
    store(0x40, 6ULL);             // again
    store(slot, 7ULL);             // another window, though the address would follow
    const std::vector<std::pair<std::uint64_t, std::uint64_t>> expected{
        {0x30, 11}, {0x3c, 4}, {0x40, 8}, {0x40, 8}, {0x80, 8}};
    for (auto [at, count] : expected) {
        REQUIRE(requests(1));
        CHECK(access_of(host->requests.front()).address == elsewhere + at);
        CHECK(access_of(host->requests.front()).count == count);
        host->answer();
    }
}

TEST_CASE_METHOD(CardMachine, "a line of an unaligned target ends at its own 64 bytes",
                 "[lab][card_machine]")
{
    open(0, elsewhere + 0x34, slot);
    store(0, 1ULL);
    store(8, 2ULL); // across the boundary: alone
    store(16, 3ULL);
    const std::vector<std::pair<std::uint64_t, std::uint64_t>> expected{
        {0x34, 8}, {0x3c, 8}, {0x44, 8}};
    for (auto [at, count] : expected) {
        REQUIRE(requests(1));
        CHECK(access_of(host->requests.front()).address == elsewhere + at);
        CHECK(access_of(host->requests.front()).count == count);
        host->answer();
    }
}

TEST_CASE_METHOD(CardMachine, "a load pushes the stores before it, and nobody else waits",
                 "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    store(0, 1ULL);
    auto id = ask_load(0x100);
    REQUIRE(requests(1));
    CHECK(host->requests.front().header.command == static_cast<int>(Command::dma_write));
    // Both machines' other accesses are served while the load waits for the host's QEMU.
    CHECK(read(reg(0, outstanding)) == 2);
    CHECK(read(win_outstanding) == 2);
    CHECK(value<std::uint32_t>(pool_qemu->region_read(0, 0, 4)) == 0x50523250);
    CHECK(host->requests.size() == 1);
    CHECK_FALSE(w->has_reply());
    host->answer();
    REQUIRE(requests(1));
    CHECK(host->requests.front().header.command == static_cast<int>(Command::dma_read));
    host->answer(0, bytes(0x123456789ULL));
    auto reply = w->wait_reply(id);
    CHECK(reply.error() == 0);
    CHECK(value<std::uint64_t>(reply.body, sizeof(vfio_user::RegionAccess)) == 0x123456789);
    CHECK(read(win_outstanding) == 0);
}

TEST_CASE_METHOD(CardMachine, "a window is closed when nothing is outstanding",
                 "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    open(1, sibling_memory, slot);
    store(0, 1ULL);
    store(8, std::uint8_t{2});
    store(0x100, 3ULL);
    settle();
    write(reg(0, control), 0);
    CHECK(read(reg(0, outstanding)) == 2);
    CHECK(read(reg(1, outstanding)) == 0);
    store(0x200, 4ULL);
    settle();
    CHECK(read(reg(0, outstanding)) == 2);
    CHECK(read(reg(0, errors)) == closed);
    CHECK(read(reg(0, dropped)) == 1);
    host->answer();
    host->answer();
    CHECK(pump(loop, [&] { return read(reg(0, outstanding)) == 0; }));
    CHECK(host->requests.empty());
}

TEST_CASE_METHOD(CardMachine, "a write behind a closed window is a violation",
                 "[lab][card_machine]")
{
    std::uint64_t lie = GENERATE(reg(0, outstanding), win_outstanding);
    open(0, elsewhere, slot);
    store(0, 1ULL);
    settle();
    write(reg(0, control), 0);
    CHECK(read(lie) == 1);
    host->answer();
    REQUIRE(pump(loop, [&] { return read(lie) == 0; }));
    CHECK(card.violations().seen().empty());

    // A card that says too early that all is done.
    write(reg(0, control), 1);
    store(0, 2ULL);
    settle();
    write(reg(0, control), 0);
    card.control({{"lies", {{std::to_string(lie), 0U}}}});
    CHECK(read(lie) == 0);
    CHECK(card.violations().seen().empty());
    host->answer();
    CHECK(pump(loop, [&] { return card.violations().seen().size() == 1; }));
}

TEST_CASE_METHOD(CardMachine, "a window is not opened again before it is idle",
                 "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    open(1, elsewhere, slot);
    store(0, 1ULL);
    settle();
    write(reg(0, control), 0);
    write(reg(1, control), 0);
    write(reg(1, control), 1);
    CHECK(card.violations().seen().empty());
    write(reg(0, control), 1);
    CHECK(card.violations().seen().size() == 1);
}

TEST_CASE_METHOD(CardMachine, "DMA to memory that was taken back is a violation",
                 "[lab][card_machine]")
{
    constexpr std::uint64_t lab_offset = 0x7f00;
    constexpr std::uint64_t lab_length = 0x7f08;
    constexpr std::uint64_t lab_command = 0x7f10;
    constexpr std::uint64_t at = 0xd0000000;
    host->config_write(0x18, bytes(static_cast<std::uint32_t>(at)));
    sibling.dma().write(at + 0x8000, pattern(64), {});
    CHECK(card.violations().seen().empty());

    write64(lab_offset, 0x1000);
    write64(lab_length, 0x2000);
    CHECK(read(lab_length) == 0x2000);
    write(lab_command, 1);
    sibling.dma().write(at + 0x1000, pattern(0x2000), {});
    CHECK(card.violations().seen().empty());
    sibling.dma().write(at + 0x2fc1, pattern(64), {});
    REQUIRE(card.violations().seen().size() == 1);
    CHECK(card.violations().seen().begin()->first.starts_with("a.x wrote"));
    card.violations().clear();

    write64(lab_offset, 0x2000);
    write(lab_command, 2);
    Bytes into(8);
    sibling.dma().read(at + 0x1ff8, into, {});
    CHECK(card.violations().seen().empty());
    sibling.dma().read(at + 0x2000, into, {});
    REQUIRE(card.violations().seen().size() == 1);
    CHECK(card.violations().seen().begin()->first.starts_with("a.x read"));
}

TEST_CASE_METHOD(CardMachine, "what was stored before a window moved goes where it led",
                 "[lab][card_machine]")
{
    open(0, sibling_memory, 8);
    // The store is combined, and not yet out, when the window is closed and moves.
    aperture.peer_write(RefCardAperture::aperture_bar, 0, bytes(std::uint32_t{0x11}));
    for (auto [offset, data] : {std::pair{control, 0U},
                                {target, static_cast<unsigned>(sibling_memory + 0x100)},
                                {control, 1U}})
        card.bar_write(0, reg(0, offset), bytes(data));
    aperture.peer_write(RefCardAperture::aperture_bar, 4, bytes(std::uint32_t{0x22}));
    aperture.flush();
    CHECK(value<std::uint64_t>(memory(), 0) == 0x11);
    CHECK(value<std::uint64_t>(memory(), 0x100) == 0x2200000000);
}

TEST_CASE_METHOD(CardMachine, "the card is made to wait when the host does not keep up",
                 "[lab][card_machine]")
{
    constexpr unsigned count = RefCard::max_forwarded + 50;
    open(0, elsewhere, slot);
    open(1, sibling_registers, slot);
    flood(count);
    store(slot, std::uint32_t{0x77}); // a copy, which must not overtake the messages
    REQUIRE(pump(loop, [&] { return aperture.input_paused(); }));
    for (int i = 0; i < 10; ++i)
        loop.run_once(std::chrono::milliseconds(1));
    CHECK(read(win_outstanding) == RefCard::max_forwarded); // the host's registers are served
    CHECK(sibling.writes.empty());
    for (unsigned i = 0; i < count; ++i) {
        REQUIRE(requests(1));
        REQUIRE(value<std::uint32_t>(host->requests.front().body, sizeof(vfio_user::DmaAccess)) ==
                i);
        host->answer();
    }
    CHECK(pump(loop, [&] { return sibling.writes.size() == 1; }));
    CHECK_FALSE(aperture.input_paused());
    CHECK(model("forwarded_writes") == count + 1);
}

TEST_CASE_METHOD(CardMachine, "a card that goes while it waits is let go", "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    flood(RefCard::max_forwarded + 50);
    REQUIRE(pump(loop, [&] { return aperture.input_paused(); }));
    w.reset();
    REQUIRE(pump(loop, [&] { return !aperture_server->connected(); }));
    CHECK(read(win_outstanding) == RefCard::max_forwarded);
    for (unsigned i = 0; i < RefCard::max_forwarded; ++i)
        host->answer();
    CHECK(pump(loop, [&] { return read(win_outstanding) == 0; }));
    CHECK_FALSE(aperture.input_paused());
}

TEST_CASE_METHOD(CardMachine, "the host's bus mastering and errors hold for the card",
                 "[lab][card_machine]")
{
    open(0, sibling_memory, slot);
    open(1, elsewhere, slot);
    host->config_write(PCI_COMMAND, bytes(std::uint16_t{2}));
    store(0, 1ULL);
    CHECK(load(0) == ones());
    CHECK(read(reg(0, errors)) == refused);
    CHECK(read(reg(0, dropped)) == 2);
    CHECK(value<std::uint64_t>(memory()) == 0);
    enable(*host);
    auto id = ask_load(slot);
    host->answer(19); // what QEMU says of an IOMMU fault
    CHECK(value<std::uint64_t>(w->wait_reply(id).body, sizeof(vfio_user::RegionAccess)) == ~0ULL);
    CHECK(read(reg(1, errors)) == refused);
}

TEST_CASE_METHOD(CardMachine, "a load that nobody answers reads all ones", "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    CHECK(load(0) == ones());
    CHECK(read(reg(0, errors)) == refused);
    CHECK(read(reg(0, outstanding)) == 1); // it is not over for the host
    host->answer(0, bytes(1ULL));
    CHECK(pump(loop, [&] { return read(reg(0, outstanding)) == 0; }));
}

TEST_CASE_METHOD(CardMachine, "reset of the host face closes all windows", "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    store(0, 1ULL);
    auto id = ask_load(0);
    REQUIRE(requests(1));
    host->config_write(0x48, bytes(std::uint16_t{0x8000}));
    CHECK(value<std::uint64_t>(w->wait_reply(id).body, sizeof(vfio_user::RegionAccess)) == ~0ULL);
    enable(*host);
    CHECK(read(reg(0, control)) == 0);
    CHECK(read(reg(0, target)) == 0);
    CHECK(read(win_outstanding) == 0);
    CHECK(load(0) == ones());
    CHECK(read(reg(0, errors)) == closed);
}

TEST_CASE_METHOD(CardMachine, "a host that goes answers the card's loads", "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    auto id = ask_load(0);
    REQUIRE(requests(1));
    host.reset();
    CHECK(value<std::uint64_t>(w->wait_reply(id).body, sizeof(vfio_user::RegionAccess)) == ~0ULL);
    CHECK(load(0) == ones());
}

TEST_CASE_METHOD(CardMachine, "a late answer does not go to the next QEMU", "[lab][card_machine]")
{
    open(0, elsewhere, slot);
    ask_load(0);
    REQUIRE(requests(1));
    w.reset();
    REQUIRE(pump(loop, [&] { return !aperture_server->connected(); }));
    w = std::make_unique<FakeQemu>(loop, directory.file("b.aperture"));
    w->handshake();
    enable(*w);
    host->answer(0, bytes(1ULL));
    REQUIRE(pump(loop, [&] { return read(win_outstanding) == 0; }));
    CHECK_FALSE(w->has_reply());
    CHECK(card_read(0) == 0x57523250);
}

TEST_CASE_METHOD(CardMachine, "a doorbell page rings both faces", "[lab][card_machine]")
{
    w->region_write(0, 0x30, bytes(~4U));
    host->region_write(0, 0xa000, bytes(0x1234ULL));
    CHECK(aperture.interrupts() == 1);
    CHECK(card.interrupts() == 0); // masked
    CHECK(card_read(0x2c) == 4);
    CHECK(read(0x2c) == 4);
    CHECK(card_read(0xaff0) == 1);
    CHECK(card_read(0xaff8) == 0x1234);
    w->region_write(0, 0x2c, bytes(4U));
    CHECK(card_read(0x2c) == 0);
    CHECK(read(0x2c) == 4);
    // Only the host face's pages ring.
    w->region_write(0, 0xa000, bytes(1U));
    CHECK(card_read(0xaff0) == 1);
    // Masked pages stay pending, and interrupt when they are unmasked.
    host->region_write(0, 0x9000, bytes(1U));
    CHECK(aperture.interrupts() == 1);
    w->region_write(0, 0x30, bytes(0U));
    CHECK(aperture.interrupts() == 2);
}

TEST_CASE_METHOD(CardMachine, "the card's bells come behind its stores", "[lab][card_machine]")
{
    write(card_mask, ~5U);
    w->region_write(0, 0x34, bytes(8U)); // masked
    CHECK(read(card_pending) == 8);
    CHECK(card.interrupts() == 0);
    open(0, elsewhere, slot);
    store(0, 1ULL);
    w->region_write(0, 0x34, bytes(1U));
    store(0x100, 2ULL);
    w->region_write(0, 0x34, bytes(4U));
    settle();
    CHECK(read(card_pending) == 8);
    host->answer();
    REQUIRE(requests(1));
    CHECK(read(card_pending) == 9);
    CHECK(card.interrupts() == 1);
    host->answer();
    CHECK(pump(loop, [&] { return read(card_pending) == 0xd; }));
    CHECK(card.interrupts() == 2);
    write(card_pending, 9);
    CHECK(read(card_pending) == 4);
    write(card_mask, 0xf);
    write(card_mask, 0);
    CHECK(card.interrupts() == 3);
}

TEST_CASE_METHOD(CardMachine, "reset of the card's side leaves the host's", "[lab][card_machine]")
{
    open(0, sibling_memory, slot);
    w->region_write(0, 0x28, bytes(7U));
    w->region_write(0, 0x30, bytes(0U));
    host->region_write(0, 0x8000, bytes(1U));
    w->config_write(0x48, bytes(std::uint16_t{0x8000}));
    enable(*w);
    CHECK(card_read(0x28) == 0);
    CHECK(card_read(0x2c) == 0);
    CHECK(card_read(0x30) == ~0U);
    CHECK(read(0x2c) == 1);
    CHECK(read(reg(0, control)) == 1);
}

TEST_CASE_METHOD(CardMachine, "a card has one aperture", "[lab][card_machine]")
{
    CHECK_THROWS_AS(RefCardAperture(loop, "b.other", card), std::invalid_argument);
    store(0, 1ULL); // and keeps it
    settle();
    CHECK(read(reg(0, errors)) == closed);
}
