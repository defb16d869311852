// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/lab_fake_qemu.hpp"

#include <catch2/catch_test_macros.hpp>
#include <linux/pci_regs.h>
#include <nlohmann/json.hpp>
#include <stdexcept>

using namespace lab;
using namespace lab::test;

namespace {

std::uint32_t config32(const PciDevice& device, std::uint32_t offset)
{
    Bytes data(4);
    device.config_read(offset, data);
    return value<std::uint32_t>(data);
}

void write32(PciDevice& device, std::uint32_t offset, std::uint32_t data)
{
    device.config_write(offset, bytes(data));
}

/// Where a capability is, found as a driver finds it.
std::uint32_t capability(const PciDevice& device, std::uint32_t id)
{
    std::uint32_t at = config32(device, PCI_CAPABILITY_LIST) & 0xff;
    while (at != 0 && (config32(device, at) & 0xff) != id)
        at = config32(device, at) >> 8 & 0xff;
    return at;
}

} // namespace

TEST_CASE("the header tells what the device is, and cannot be changed", "[lab][pci_device]")
{
    EventLoop loop;
    RecordingDevice device(loop, "a.x");
    write32(device, 0, 0xffffffff);
    write32(device, PCI_CLASS_REVISION, 0);
    CHECK(config32(device, 0) == 0x12341b36);
    CHECK(config32(device, PCI_CLASS_REVISION) == 0x12000003);
    CHECK(config32(device, PCI_SUBSYSTEM_VENDOR_ID) == 0x12341b36);
}

TEST_CASE("the capabilities: a PCI Express endpoint with FLR, and MSI-X", "[lab][pci_device]")
{
    EventLoop loop;
    RecordingDevice device(loop, "a.x");
    std::uint32_t pcie = capability(device, PCI_CAP_ID_EXP);
    REQUIRE(pcie != 0);
    CHECK((config32(device, pcie + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR) != 0);
    CHECK((config32(device, pcie + PCI_EXP_LNKCAP) & 0x3ff) == (3 | 8 << 4));
    std::uint32_t msix = capability(device, PCI_CAP_ID_MSIX);
    REQUIRE(msix != 0);
    CHECK((config32(device, msix) >> 16 & PCI_MSIX_FLAGS_QSIZE) == 3);
    CHECK(config32(device, msix + PCI_MSIX_TABLE) == 4);
    CHECK(config32(device, msix + PCI_MSIX_PBA) == (0x800 | 4));
}

TEST_CASE("BARs are sized as PCI wants it", "[lab][pci_device]")
{
    EventLoop loop;
    RecordingDevice device(loop, "a.x");
    for (unsigned bar = 0; bar < 6; ++bar)
        write32(device, PCI_BASE_ADDRESS_0 + 4 * bar, 0xffffffff);
    CHECK(config32(device, PCI_BASE_ADDRESS_0) == 0xffff0000);
    CHECK(config32(device, PCI_BASE_ADDRESS_1) == 0);
    CHECK(config32(device, PCI_BASE_ADDRESS_2) == 0xffff000c); // 64-bit, prefetchable
    CHECK(config32(device, PCI_BASE_ADDRESS_3) == 0xffffffff);
    CHECK(config32(device, PCI_BASE_ADDRESS_4) == 0xfffff000);
}

TEST_CASE("a BAR has an address only while memory decoding is on", "[lab][pci_device]")
{
    EventLoop loop;
    RecordingDevice device(loop, "a.x");
    device.place(0, 0xfe000000);
    device.place(2, 0x3800000000);
    CHECK(device.bar_address(0) == 0);
    device.command(true, false);
    CHECK(device.bar_address(0) == 0xfe000000);
    CHECK(device.bar_address(2) == 0x3800000000);
    CHECK(device.bar_address(1) == 0);
    CHECK_FALSE(device.bus_master());
    device.command(false, true);
    CHECK(device.bar_address(0) == 0);
    CHECK(device.bus_master());
}

TEST_CASE("FLR resets all but the BARs' addresses", "[lab][pci_device]")
{
    EventLoop loop;
    RecordingDevice device(loop, "a.x");
    device.place(0, 0xfe000000);
    device.command(true, true);
    std::uint32_t control = capability(device, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;

    // Only the bit itself starts it, in an access of any width.
    device.config_write(control, bytes(std::uint16_t{0x2810}));
    CHECK(device.resets == 0);
    device.config_write(control, bytes(std::uint16_t{0xa810}));
    CHECK(device.resets == 1);
    CHECK_FALSE(device.bus_master());
    CHECK(device.bar_address(0) == 0);
    device.command(true, true);
    CHECK(device.bar_address(0) == 0xfe000000);
    CHECK((config32(device, control) & PCI_EXP_DEVCTL_BCR_FLR) == 0);
    device.config_write(control + 1, bytes(std::uint8_t{0x80}));
    CHECK(device.resets == 2);
}

TEST_CASE("long and unaligned writes by a peer arrive in aligned pieces", "[lab][pci_device]")
{
    EventLoop loop;
    RecordingDevice device(loop, "a.x");
    auto data = pattern(19);
    device.peer_write(0, 0x103, data);
    std::uint64_t at = 0x103;
    Bytes together;
    for (const auto& write : device.writes) {
        CHECK(write.offset == at);
        CHECK(write.data.size() <= 8);
        CHECK(write.offset % write.data.size() == 0);
        at += write.data.size();
        together = together + write.data;
    }
    CHECK(together == data);
    CHECK(device.writes.size() == 5); // 1, 4, 8, 4, 2

    Bytes back(19);
    device.peer_read(0, 0x103, back);
    CHECK(back[0] == std::byte{0x03});
    CHECK(back[18] == std::byte{0x15});
}

TEST_CASE("a peer reaches memory behind a BAR", "[lab][pci_device]")
{
    EventLoop loop;
    RecordingDevice device(loop, "a.x");
    auto data = pattern(40);
    device.peer_write(2, 0x8fff, data);
    CHECK(std::equal(data.begin(), data.end(), device.bars()[2].memory.begin() + 0x8fff));
    Bytes back(40);
    device.peer_read(2, 0x8fff, back);
    CHECK(back == data);
    CHECK(device.writes.empty());
}

TEST_CASE("no interrupt while MSI-X or bus mastering is off", "[lab][pci_device]")
{
    EventLoop loop;
    RecordingDevice device(loop, "a.x");
    std::uint32_t control = capability(device, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
    device.command(true, true);
    device.raise(1);
    CHECK(device.interrupts() == 0);
    device.config_write(control, bytes(std::uint16_t{PCI_MSIX_FLAGS_ENABLE}));
    device.raise(1);
    CHECK(device.interrupts() == 1);
    device.raise(4); // there are four
    CHECK(device.interrupts() == 1);
    device.command(true, false);
    device.raise(1);
    CHECK(device.interrupts() == 1);

    // Without an eventfd the vector is pending, and the driver can see that.
    Bytes pending(8);
    device.peer_read(4, 0x800, pending);
    CHECK(value<std::uint64_t>(pending) == 2);
    device.clear_counters();
    CHECK(device.interrupts() == 0);
}

TEST_CASE("a BAR's size is a power of two", "[lab][pci_device]")
{
    struct Odd : RecordingDevice {
        Odd(EventLoop& loop, std::uint64_t size) : RecordingDevice(loop, "a.odd")
        {
            add_trapped_bar(5, size);
        }
    };
    EventLoop loop;
    CHECK_THROWS_AS(Odd(loop, 0), std::invalid_argument);
    CHECK_THROWS_AS(Odd(loop, 0x1800), std::invalid_argument);
    CHECK_THROWS_AS(Odd(loop, std::uint64_t{1} << 32), std::invalid_argument);
}
