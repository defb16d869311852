// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/refcard.hpp"

#include "tests/unit/lab_fake_qemu.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <linux/pci_regs.h>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <sys/eventfd.h>

using namespace lab;
using namespace lab::test;

namespace {

// The offsets are those of Documentation/refcard.rst.
constexpr std::uint64_t status = 0x0c;
constexpr std::uint64_t scratch = 0x28;
constexpr std::uint64_t pending = 0x2c;
constexpr std::uint64_t mask = 0x30;

struct Fixture {
    Directory directory;
    EventLoop loop;
    Machine machine{"a", {"/none"}};
    RefCard card{loop, "a.card0", 1 << 20, 0x1122334455667788};
    std::unique_ptr<VfioUserServer> server;
    std::unique_ptr<FakeQemu> qemu;
    std::vector<UniqueFd> eventfds;

    Fixture()
    {
        machine.add(card, "");
        server = std::make_unique<VfioUserServer>(loop, machine, card, directory.file("c.sock"));
        qemu = std::make_unique<FakeQemu>(loop, directory.file("c.sock"));
        qemu->handshake();
        enable();
        std::vector<int> fds;
        for (unsigned i = 0; i < 8; ++i) {
            eventfds.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
            fds.push_back(eventfds.back().get());
        }
        qemu->call(vfio_user::Command::set_irqs,
                   bytes(vfio_user::SetIrqs{20, 0x24, vfio_user::irq_msix, 0, 8}), fds);
    }
    void enable()
    {
        qemu->config_write(PCI_COMMAND, bytes(std::uint16_t{6}));
        qemu->config_write(0x82, bytes(std::uint16_t{PCI_MSIX_FLAGS_ENABLE}));
    }
    std::uint32_t read(std::uint64_t offset)
    {
        return value<std::uint32_t>(qemu->region_read(0, offset, 4));
    }
    std::uint64_t read64(std::uint64_t offset)
    {
        return value<std::uint64_t>(qemu->region_read(0, offset, 8));
    }
    template <typename T>
    void write(std::uint64_t offset, T data)
    {
        qemu->region_write(0, offset, bytes(data));
    }
    std::uint64_t page(unsigned n) { return read(0x20) + n * 0x1000ULL; }
    std::uint64_t interrupts(unsigned vector)
    {
        eventfd_t n = 0;
        return ::eventfd_read(eventfds[vector].get(), &n) == 0 ? n : 0;
    }
};

} // namespace

TEST_CASE_METHOD(Fixture, "the card identifies itself", "[lab][refcard]")
{
    CHECK(value<std::uint32_t>(qemu->config_read(0, 4)) == 0x11001b36);
    CHECK(value<std::uint32_t>(qemu->config_read(8, 4)) >> 8 == 0x120000);
    CHECK(read(0x00) == 0x43523250);
    CHECK(read(0x04) == 0x00010002);
    CHECK(read(0x08) == 0x8000000f);
    CHECK(read(status) == 1);
    CHECK(read64(0x10) == 0x1122334455667788);
    CHECK(read64(0x18) == 1 << 20);
    CHECK(read(0x20) % 4096 == 0);
    CHECK(read(0x24) == RefCard::doorbell_pages);
    CHECK(read(0x34) == 0);
    CHECK(read(0x3fffc) == 0);
    write(0x00, 7U);
    CHECK(read(0x00) == 0x43523250);
}

TEST_CASE_METHOD(Fixture, "the scratch register keeps what is written", "[lab][refcard]")
{
    CHECK(read(scratch) == 0);
    write(scratch, 0xdeadbeefU);
    CHECK(read(scratch) == 0xdeadbeef);
    write(scratch, std::uint8_t{1}); // registers take 32 bits
    CHECK(read(scratch) == 0xdeadbeef);
}

TEST_CASE_METHOD(Fixture, "the control area is where the host says", "[lab][refcard]")
{
    CHECK(read64(0x40) == 0);
    write(0x40, std::uint64_t{0x1'0000'2000});
    write(0x48, 0x10000U);
    write(0x4c, 3U);
    CHECK(read64(0x40) == 0x1'0000'2000);
    CHECK(read64(0x48) == (3ULL << 32 | 0x10000));
    CHECK(read(0x50) == 0);
    CHECK(read(pending) == 0);
}

TEST_CASE_METHOD(Fixture, "a doorbell page counts, keeps the value and sets its bit",
                 "[lab][refcard]")
{
    write(page(3) + 0x40, std::uint64_t{0x8877665544332211});
    CHECK(read(page(3) + 0xff0) == 1);
    CHECK(read64(page(3) + 0xff8) == 0x8877665544332211);
    write(page(3) + 0x7ff, std::uint8_t{0x99});
    CHECK(read(page(3) + 0xff0) == 2);
    CHECK(read64(page(3) + 0xff8) == 0x99);
    CHECK(read(pending) == 8);
    write(page(3) + 0xff0, 7U); // not a doorbell
    CHECK(read(page(3) + 0xff0) == 2);
    CHECK(read(page(3)) == 0);
    CHECK(read(page(2) + 0xff0) == 0);
    write(pending, 8U);
    CHECK(read(pending) == 0);
    CHECK(interrupts(4) == 0); // all pages are masked
}

TEST_CASE_METHOD(Fixture, "the upper half of a doorbell page wakes, and keeps the value",
                 "[lab][refcard]")
{
    write(mask, 0U);
    write(page(3) + 0x7f8, std::uint64_t{5});
    write(page(3) + 0x800, std::uint64_t{1});
    CHECK(read(page(3) + 0xff0) == 2);
    CHECK(read64(page(3) + 0xff8) == 5);
    CHECK(read(pending) == 8);
    CHECK(interrupts(4) == 2);
    write(page(3) + 0xfef, std::uint8_t{0x99});
    CHECK(read(page(3) + 0xff0) == 3);
    CHECK(read64(page(3) + 0xff8) == 5);
}

TEST_CASE_METHOD(Fixture, "an unmasked page interrupts", "[lab][refcard]")
{
    CHECK(read(mask) == 0xffffffff);
    write(mask, ~(1U << 2));
    write(page(2), 1U);
    CHECK(interrupts(3) == 1);
    write(page(1), 1U);
    CHECK(interrupts(2) == 0);
    // Unmasking a pending page interrupts at once, and only that one.
    write(mask, 0U);
    CHECK(interrupts(2) == 1);
    CHECK(interrupts(3) == 0);
    // The eighth page shares the first one's vector, and so does the 29th.
    write(page(7), 1U);
    CHECK(interrupts(1) == 1);
    write(page(28), 1U);
    CHECK(interrupts(1) == 1);
    write(page(31), 1U);
    CHECK(read(pending) == (1U << 31 | 1 << 28 | 1 << 7 | 6));
    CHECK(interrupts(0) == 0);
}

TEST_CASE_METHOD(Fixture, "a long write by a peer is an event for each eight bytes",
                 "[lab][refcard]")
{
    std::uint64_t at = page(0);
    card.peer_write(RefCard::register_bar, at, pattern(64));
    CHECK(read(at + 0xff0) == 8);
}

TEST_CASE_METHOD(Fixture, "reset clears all but the memory", "[lab][refcard]")
{
    write(scratch, 5U);
    write(0x4c, 5U);
    write(page(0), 5U);
    write(mask, 0U);
    card.control({{"fault", true}});
    CHECK(read(status) == 3);
    card.bars()[RefCard::memory_bar].memory[100] = std::byte{1};
    qemu->config_write(0x48, bytes(std::uint16_t{0x8000}));
    enable();
    CHECK(read(status) == 1);
    CHECK(read(scratch) == 0);
    CHECK(read(0x4c) == 0);
    CHECK(read(pending) == 0);
    CHECK(read(mask) == 0xffffffff);
    CHECK(read(page(0) + 0xff0) == 0);
    CHECK(read64(page(0) + 0xff8) == 0);
    CHECK(value<std::uint8_t>(qemu->region_read(2, 100, 1)) == 1);
}

TEST_CASE("a card's memory is a power of two in its limits", "[lab][refcard]")
{
    EventLoop loop;
    auto size = GENERATE(std::uint64_t{0}, 1, 2048, 4097, 12288, ~0ULL, RefCard::max_memory * 2);
    CHECK_THROWS_AS(RefCard(loop, "a.x", size, 0), std::invalid_argument);
}

TEST_CASE_METHOD(Fixture, "a card can be told to lie", "[lab][refcard]")
{
    card.control({{"lies", {{"0x4", 0x20000U}, {"40", 7U}}}});
    CHECK(read(4) == 0x20000);
    CHECK(read(scratch) == 7);
    card.control({{"lies", nlohmann::json::object()}});
    CHECK(read(4) == 0x10002);
    CHECK(read(scratch) == 0);
    CHECK_THROWS_AS(card.control({{"lies", {{"x", 1U}}}}), std::invalid_argument);
    CHECK_THROWS_AS(card.control({{"lies", {{"4", "x"}}}}), std::invalid_argument);
    CHECK_THROWS_AS(card.control({{"lies", {{"4", std::uint64_t{1} << 32}}}}),
                    std::invalid_argument);
    for (const char* offset : {"", "0x", "3", "4x", "0x40000", "99999999999999999999"})
        CHECK_THROWS_AS(card.control({{"lies", {{offset, 1U}}}}), std::invalid_argument);
}

TEST_CASE("a card takes only the requests that it knows", "[lab][refcard]")
{
    EventLoop loop;
    RefCard card(loop, "a.x", 4096, 0);
    CHECK(card.control({{"ready", false}})["status"] == 0);
    CHECK(card.control({{"ready", true}})["status"] == 1);
    CHECK_THROWS_AS(card.control({{"fault", 1}}), std::invalid_argument);
    CHECK_THROWS_AS(card.control({{"melt", true}}), std::invalid_argument);
    CHECK_THROWS_AS(card.control(3), std::invalid_argument);
}
