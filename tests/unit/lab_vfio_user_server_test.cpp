// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/lab_fake_qemu.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cerrno>
#include <linux/pci_regs.h>
#include <random>
#include <sys/eventfd.h>

using namespace lab;
using namespace lab::test;
using namespace lab::vfio_user;

namespace {

constexpr std::uint16_t msix_control = 0x82;

struct Fixture {
    Directory directory;
    EventLoop loop;
    SharedFile ram{directory.file("ram"), 0x100000};
    Machine machine{"a", {directory.file("ram")}};
    RecordingDevice device{loop, "a.x"};
    std::unique_ptr<VfioUserServer> server;

    Fixture()
    {
        machine.add(device, "sw0");
        server = std::make_unique<VfioUserServer>(loop, machine, device, directory.file("x.sock"));
    }
    std::string path() const { return directory.file("x.sock"); }
};

struct Connected : Fixture {
    FakeQemu qemu{loop, path()};
    Connected() { qemu.handshake(); }
};

UniqueFd make_eventfd()
{
    return UniqueFd{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
}

std::uint64_t count(const UniqueFd& eventfd)
{
    eventfd_t n = 0;
    return ::eventfd_read(eventfd.get(), &n) == 0 ? n : 0;
}

RegionInfo region_info(FakeQemu& qemu, std::uint32_t index, UniqueFd* fd = nullptr)
{
    auto reply = qemu.call(Command::get_region_info, bytes(RegionInfo{32, 0, index, 0, 0, 0}));
    REQUIRE(reply.error() == 0);
    if (fd)
        *fd = std::move(reply.fd);
    return value<RegionInfo>(reply.body);
}

int set_irqs(FakeQemu& qemu, const SetIrqs& set, const std::vector<int>& fds = {})
{
    return qemu.call(Command::set_irqs, bytes(set), fds).error();
}

constexpr std::uint32_t assign = irq_data_eventfd | irq_action_trigger;
constexpr std::uint32_t disable = irq_data_none | irq_action_trigger;

} // namespace

TEST_CASE_METHOD(Fixture, "the handshake answers with a terminated text", "[lab][vfio_user]")
{
    FakeQemu qemu(loop, path());
    std::string text = R"({"capabilities":{"max_data_xfer_size":1048576,"max_msg_fds":16,)"
                       R"("pgsizes":4096,"write_multiple":true}})";
    Bytes json(text.size() + 1);
    std::memcpy(json.data(), text.c_str(), json.size());
    auto reply = qemu.call(Command::version, bytes(Version{0, 0}) + json);
    CHECK(reply.error() == 0);
    CHECK(value<Version>(reply.body).major == 0);
    CHECK(reply.body.back() == std::byte{0});
    CHECK(reply.body.size() <= json.size() + sizeof(Version));
    CHECK(server->connected());
}

TEST_CASE_METHOD(Fixture, "a version that makes no sense is refused", "[lab][vfio_user]")
{
    auto text = GENERATE(R"({"capabilities":{"max_data_xfer_size":-1}})",
                         R"({"capabilities":{"max_data_xfer_size":16}})",
                         R"({"capabilities":{"max_data_xfer_size":"1"}})", "[1", "7");
    FakeQemu qemu(loop, path());
    auto json = std::as_bytes(std::span(text, std::strlen(text) + 1));
    auto body = bytes(Version{0, 0}) + Bytes(json.begin(), json.end());
    CHECK(qemu.call(Command::version, body).error() == EINVAL);
    CHECK(qemu.call(Command::version, bytes(Version{1, 0})).error() == ENOTSUP);
    CHECK(qemu.call(Command::version, bytes(std::uint16_t{0})).error() == EINVAL);
    CHECK(qemu.call(Command::get_info, {}).error() == EINVAL); // before the version is known
    qemu.handshake();
    CHECK(qemu.call(Command::get_info, {}).error() == 0);
}

TEST_CASE_METHOD(Connected, "regions are described as QEMU wants them", "[lab][vfio_user]")
{
    auto info =
        value<DeviceInfo>(qemu.call(Command::get_info, bytes(DeviceInfo{16, 0, 0, 0})).body);
    CHECK(info.flags == (device_reset | device_pci));
    CHECK(info.regions == 9);
    CHECK(info.irqs == 5);
    CHECK(region_info(qemu, 0).size == 0x10000);
    CHECK(region_info(qemu, 0).flags == 3);
    CHECK(region_info(qemu, 1).size == 0);
    CHECK(region_info(qemu, 3).flags == 0);
    CHECK(region_info(qemu, 6).size == 0);
    CHECK(region_info(qemu, region_config).size == 4096);
    CHECK(region_info(qemu, region_config).flags == 3);

    UniqueFd fd;
    auto memory = region_info(qemu, 2, &fd);
    CHECK(memory.flags == (region_readable | region_writable | region_mappable));
    CHECK(memory.capability_offset == 0);
    REQUIRE(fd);
    MappedMemory view(fd.get(), memory.size, true);
    view.bytes()[77] = std::byte{42};
    CHECK(device.bars()[2].memory[77] == std::byte{42});
}

TEST_CASE_METHOD(Connected, "registers are read and written", "[lab][vfio_user]")
{
    CHECK(value<std::uint32_t>(qemu.config_read(0, 4)) == 0x12341b36);
    device.place(0, 0xfe000000);

    // Nobody answers while memory decoding is off.
    CHECK(value<std::uint32_t>(qemu.region_read(0, 0x10, 4)) == 0xffffffff);
    CHECK(qemu.region_write(0, 0x10, pattern(4)) == 0);
    CHECK(device.writes.empty());

    CHECK(qemu.config_write(PCI_COMMAND, bytes(std::uint16_t{PCI_COMMAND_MEMORY})) == 0);
    CHECK(value<std::uint32_t>(qemu.region_read(0, 0x10, 4)) == 0x13121110);
    CHECK(qemu.region_write(0, 0x18, pattern(8)) == 0);
    REQUIRE(device.writes.size() == 1);
    CHECK(device.writes[0].offset == 0x18);
    CHECK(device.writes[0].data == pattern(8));
    CHECK(server->counters().reads[0] == 2);
    CHECK(server->counters().writes[0] == 2);
    CHECK(server->counters().messages[9] == 3);
}

TEST_CASE_METHOD(Connected, "a posted write has no reply", "[lab][vfio_user]")
{
    device.command(true, false);
    Header header{.id = 7, .command = 10, .size = 0, .flags = flag_no_reply, .error = 0};
    for (std::uint64_t i = 0; i < 100; ++i)
        qemu.send(header, bytes(RegionAccess{i * 8, 0, 8}) + pattern(8, unsigned(i)));
    qemu.send(header, bytes(RegionAccess{~0ULL, 0, 8}) + pattern(8)); // refused, without a reply
    CHECK(qemu.region_read(0, 0, 1).size() == 1);                     // checks the reply's id
    REQUIRE(device.writes.size() == 100);
    CHECK(device.writes[99].data == pattern(8, 99));
    CHECK(server->counters().refused == 1);
}

TEST_CASE_METHOD(Connected, "accesses beyond a region are refused", "[lab][vfio_user]")
{
    device.command(true, false);
    auto access = GENERATE(RegionAccess{0x10000, 0, 1}, RegionAccess{0xffff, 0, 2},
                           RegionAccess{~0ULL, 0, 4}, RegionAccess{0, 1, 4}, RegionAccess{0, 9, 4},
                           RegionAccess{0, ~0U, 4}, RegionAccess{0, 0, 0}, RegionAccess{0, 0, ~0U},
                           RegionAccess{4096, 7, 4}, RegionAccess{4094, 7, 4},
                           RegionAccess{~0ULL - 3, 7, 4}, RegionAccess{0x10000, 2, 1});
    CHECK(qemu.call(Command::region_read, bytes(access)).error() == EINVAL);
    Bytes data(access.count <= 8 ? access.count : 4);
    CHECK(qemu.call(Command::region_write, bytes(access) + data).error() == EINVAL);
    CHECK(device.writes.empty());
    CHECK(qemu.config_read(0, 4).size() == 4);
}

TEST_CASE_METHOD(Connected, "messages that are too short are refused", "[lab][vfio_user]")
{
    auto command = GENERATE(Command::version, Command::dma_map, Command::dma_unmap,
                            Command::get_region_info, Command::get_irq_info, Command::set_irqs,
                            Command::region_read, Command::region_write);
    CHECK(qemu.call(command, {}).error() == EINVAL);
    CHECK(qemu.call(command, Bytes(3)).error() == EINVAL);
    CHECK(qemu.call(command, Bytes(15)).error() == EINVAL);
    CHECK(qemu.config_read(0, 4).size() == 4);
}

TEST_CASE_METHOD(Connected, "wrong fields are refused", "[lab][vfio_user]")
{
    CHECK(qemu.call(Command::get_region_info, bytes(RegionInfo{31, 0, 0, 0, 0, 0})).error() ==
          EINVAL);
    CHECK(qemu.call(Command::get_region_info, bytes(RegionInfo{32, 0, 9, 0, 0, 0})).error() ==
          EINVAL);
    CHECK(qemu.call(Command::get_irq_info, bytes(IrqInfo{16, 0, 5, 0})).error() == EINVAL);
    CHECK(qemu.call(Command::get_irq_info, bytes(IrqInfo{8, 0, 2, 0})).error() == EINVAL);
    // A write whose count is not that of its data.
    CHECK(qemu.call(Command::region_write, bytes(RegionAccess{0, 0, 8}) + Bytes(4)).error() ==
          EINVAL);
    CHECK(qemu.call(Command::region_write, bytes(RegionAccess{0, 0, 4}) + Bytes(8)).error() ==
          EINVAL);
    for (auto command : {Command::dma_read, Command::dma_write, Command::get_region_io_fds,
                         Command{0}, Command{14}, Command{15}, Command{0xffff}})
        CHECK(qemu.call(command, Bytes(64)).error() == ENOTSUP);
    CHECK(server->counters().refused == 13);
}

TEST_CASE_METHOD(Connected, "maps: with a descriptor, without, and wrong ones", "[lab][vfio_user]")
{
    auto& map = device.dma().map();
    CHECK(qemu.map(0, 0x10000, ram.fd.get()) == 0);
    CHECK(qemu.map(0xc0000, 0x20000, -1, 0, dma_map_read) == 0);
    REQUIRE(map.find(0x8000) != nullptr);
    CHECK(map.find(0x8000)->route == Route::host_dram);
    CHECK(map.find(0xc0000)->memory == nullptr);

    CHECK(qemu.map(0x200000, 0, ram.fd.get()) == EINVAL);
    CHECK(qemu.map(0x200000, 0x100001, ram.fd.get()) == EINVAL);
    CHECK(qemu.map(0x200000, 0x1000, ram.fd.get(), 0x100000) == EINVAL);
    CHECK(qemu.map(0x200000, 0x1000, ram.fd.get(), ~0ULL) == EINVAL);
    CHECK(qemu.map(~0ULL - 0xfff, 0x1001) == EINVAL);
    CHECK(qemu.call(Command::dma_map, bytes(vfio_user::DmaMap{16, 3, 0, 0, 4096})).error() ==
          EINVAL);
    UniqueFd eventfd = make_eventfd();
    CHECK(qemu.map(0x200000, 0x1000, eventfd.get()) != 0);
    CHECK(map.size() == 2);
    CHECK(qemu.map(~0ULL - 0xfff, 0x1000) == 0); // ends at 2^64
}

TEST_CASE_METHOD(Connected, "unmaps: of one, of many, of nothing", "[lab][vfio_user]")
{
    auto& map = device.dma().map();
    for (std::uint64_t i = 0; i < 16; ++i)
        REQUIRE(qemu.map(0xfff00000 + i * 0x1000, 0x1000, ram.fd.get(), i * 0x1000) == 0);
    CHECK(qemu.unmap(0x7fff00000000, 0x1000) == 0);
    CHECK(qemu.unmap(0xfff00000, 0x1000) == 0);
    CHECK(map.size() == 15);
    auto body = bytes(DmaUnmap{24, 0, 0xfef00000, 0xffffffff01100000}); // to 2^64
    auto reply = qemu.call(Command::dma_unmap, body);
    CHECK(reply.error() == 0);
    CHECK(reply.body == body);
    CHECK(map.size() == 0);
    CHECK(qemu.unmap(0xfef00001, 0xffffffff01100000) == EINVAL);
    CHECK(qemu.unmap(0, 0) == EINVAL);
}

TEST_CASE_METHOD(Connected, "interrupts go to the eventfds that QEMU gave", "[lab][vfio_user]")
{
    auto info = value<IrqInfo>(qemu.call(Command::get_irq_info, bytes(IrqInfo{16, 0, 2, 0})).body);
    CHECK(info.count == 4);
    CHECK(info.flags == (irq_eventfd | irq_no_resize));
    CHECK(
        value<IrqInfo>(qemu.call(Command::get_irq_info, bytes(IrqInfo{16, 0, 3, 0})).body).count ==
        0);
    device.command(true, true);
    device.config_write(msix_control, bytes(std::uint16_t{PCI_MSIX_FLAGS_ENABLE}));

    UniqueFd zero = make_eventfd();
    UniqueFd one = make_eventfd();
    UniqueFd three = make_eventfd();
    // As seen: enabled without a vector, all off, then the vectors as the guest sets them up.
    CHECK(set_irqs(qemu, {20, assign, irq_msix, 0, 1}) == 0);
    CHECK(set_irqs(qemu, {20, disable, irq_msix, 0, 0}) == 0);
    CHECK(set_irqs(qemu, {20, assign, irq_msix, 0, 2}, {zero.get(), one.get()}) == 0);
    device.raise(1);
    device.raise(1);
    CHECK(count(zero) == 0);
    CHECK(count(one) == 2);

    device.raise(3); // pending, until there is somebody to tell
    CHECK(set_irqs(qemu, {20, assign, irq_msix, 3, 1}, {three.get()}) == 0);
    CHECK(count(three) == 1);
    CHECK(set_irqs(qemu, {20, disable, irq_msix, 0, 0}) == 0);
    device.raise(3);
    CHECK(count(three) == 0);
}

TEST_CASE_METHOD(Connected, "wrong interrupt set-ups are refused", "[lab][vfio_user]")
{
    UniqueFd fd = make_eventfd();
    CHECK(set_irqs(qemu, {20, assign, irq_msix, 0, 5}) == EINVAL);
    CHECK(set_irqs(qemu, {20, assign, irq_msix, 4, 1}, {fd.get()}) == EINVAL);
    CHECK(set_irqs(qemu, {20, assign, irq_msix, ~0U, 1}, {fd.get()}) == EINVAL);
    CHECK(set_irqs(qemu, {20, assign, irq_msix, 1, ~0U}, {fd.get()}) == EINVAL);
    CHECK(set_irqs(qemu, {20, assign, irq_msix, 0, 2}, {fd.get()}) == EINVAL);
    CHECK(set_irqs(qemu, {20, assign, 1, 0, 1}, {fd.get()}) == EINVAL);
    CHECK(set_irqs(qemu, {20, assign, 77, 0, 1}, {fd.get()}) == EINVAL);
    CHECK(set_irqs(qemu, {20, 0, irq_msix, 0, 1}, {fd.get()}) == ENOTSUP);
    CHECK(set_irqs(qemu, {16, disable, irq_msix, 0, 0}) == EINVAL);
}

TEST_CASE_METHOD(Connected, "QEMU's reset and the guest's FLR reset the device", "[lab][vfio_user]")
{
    device.place(0, 0xfe000000);
    device.command(true, true);
    CHECK(qemu.call(Command::reset, {}).error() == 0);
    CHECK(device.resets == 1);
    CHECK_FALSE(device.bus_master());
    CHECK(qemu.config_write(0x48, bytes(std::uint16_t{0xa810})) == 0);
    CHECK(device.resets == 2);
}

TEST_CASE_METHOD(Fixture, "when QEMU is gone the next one may connect", "[lab][vfio_user]")
{
    {
        FakeQemu qemu(loop, path());
        qemu.handshake();
        qemu.map(0, 0x10000, ram.fd.get());
        device.place(0, 0xfe000000);
        device.command(true, true);
        FakeQemu second(loop, path());
        CHECK(second.closed());
        CHECK(qemu.config_read(0, 4).size() == 4);
    }
    REQUIRE(pump(loop, [this] { return !server->connected(); }));
    CHECK(device.resets == 1);
    CHECK(device.dma().map().size() == 0);
    CHECK(device.bar_address(0) == 0);
    FakeQemu next(loop, path());
    next.handshake();
    CHECK(value<std::uint32_t>(next.config_read(PCI_BASE_ADDRESS_0, 4)) == 0);
}

TEST_CASE_METHOD(Connected, "a stream out of step ends the connection", "[lab][vfio_user]")
{
    auto size = GENERATE(0U, 15U, 0x7fffffffU, ~0U);
    qemu.send_raw(bytes(Header{1, 9, size, 0, 0}) + Bytes(64));
    CHECK(qemu.closed());
    CHECK_FALSE(server->connected());
}

TEST_CASE_METHOD(Connected, "a message may arrive in pieces", "[lab][vfio_user]")
{
    Bytes message =
        bytes(Header{5, 10, 40, flag_no_reply, 0}, RegionAccess{0x20, 0, 8}) + pattern(8);
    device.command(true, false);
    for (std::byte byte : message) {
        qemu.send_raw({byte});
        loop.run_once(std::chrono::milliseconds(0));
    }
    REQUIRE(pump(loop, [this] { return !device.writes.empty(); }));
    CHECK(device.writes[0].data == pattern(8));
}

TEST_CASE_METHOD(Connected, "many messages in one go, with descriptors among them",
                 "[lab][vfio_user]")
{
    // The descriptor must go with its own message, not with the one before.
    auto& map = device.dma().map();
    Header header{.id = 1, .command = 2, .size = 0, .flags = flag_no_reply, .error = 0};
    for (std::uint64_t i = 0; i < 40; ++i) {
        std::vector<int> fds;
        if (i % 2)
            fds.push_back(ram.fd.get());
        qemu.send(header, bytes(vfio_user::DmaMap{32, 3, i * 0x1000, i * 0x1000, 0x1000}), fds);
    }
    REQUIRE(pump(loop, [&] { return map.size() == 40; }));
    for (std::uint64_t i = 0; i < 40; ++i)
        CHECK((map.find(i * 0x1000)->memory != nullptr) == (i % 2 == 1));
}

TEST_CASE_METHOD(Connected, "replies to nothing are ignored", "[lab][vfio_user]")
{
    qemu.send({.id = 3, .command = 11, .size = 0, .flags = flag_reply, .error = 0}, Bytes(16));
    qemu.send({.id = 4, .command = 11, .size = 0, .flags = flag_reply, .error = 0}, {});
    CHECK(qemu.config_read(0, 4).size() == 4);
}

TEST_CASE_METHOD(Fixture, "work that a register write posts comes after the reply",
                 "[lab][vfio_user]")
{
    FakeQemu qemu(loop, path());
    qemu.handshake();
    device.command(true, true);
    // The doorbell starts DMA that only QEMU can do; QEMU serves it only once it has the reply.
    bool done = false;
    auto data = pattern(16);
    device.on_write = [&](const auto&) {
        loop.post([&] {
            device.dma().write(0x9000000000, data,
                               [&](const DmaResult& r) { done = r.error == 0; });
        });
    };
    CHECK(qemu.region_write(0, 0, pattern(4)) == 0); // the fake QEMU would take requests first
    qemu.answer();
    CHECK(pump(loop, [&] { return done; }));
}

TEST_CASE_METHOD(Fixture, "no message does harm, whatever its fields", "[lab][vfio_user]")
{
    std::mt19937_64 random(GENERATE(range(1U, 9U)));
    const std::array<std::uint64_t, 12> values{0,  1,    2,      7,          8,          20,
                                               32, 4096, 0xffff, 0x7fffffff, 0xffffffff, ~0ULL};
    FakeQemu qemu(loop, path());
    qemu.handshake();
    device.command(true, true);
    for (int i = 0; i < 400; ++i) {
        Bytes body;
        for (std::size_t n = random() % 7; n > 0; --n) {
            std::uint64_t one = values[random() % values.size()];
            body = body + (random() % 2 ? bytes(one) : bytes(static_cast<std::uint32_t>(one)));
        }
        Header header{.id = 1,
                      .command = static_cast<std::uint16_t>(random() % 16),
                      .size = 0,
                      .flags =
                          static_cast<std::uint32_t>(random() % 2 ? flag_no_reply : random() % 64),
                      .error = 0};
        std::vector<int> fds(random() % 3, ram.fd.get());
        qemu.send(header, body, fds);
        loop.run_once(std::chrono::milliseconds(0));
    }
    qemu.forget_replies();
    CHECK(value<std::uint32_t>(qemu.config_read(0, 4)) == 0x12341b36);
}
