// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/card.hpp"
#include "p2prdma/error.hpp"

#include "lib/internal.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <catch2/catch_all.hpp>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace p2prdma;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

/// A directory with what the module and the adapters' drivers show in sysfs.
class FakeSysfs {
public:
    FakeSysfs()
    {
        std::string name = fs::temp_directory_path() / "p2prdma-sysfs-XXXXXX";
        REQUIRE(::mkdtemp(name.data()));
        root_ = name;
    }
    ~FakeSysfs() { fs::remove_all(root_); }

    const fs::path& root() const { return root_; }
    FakeSysfs& load_module()
    {
        fs::create_directories(root_ / "class/p2prdma");
        return *this;
    }
    FakeSysfs& add(const std::string& name, const std::string& pci)
    {
        const auto directory = root_ / "class/p2prdma" / name;
        fs::create_directories(directory);
        fs::create_symlink("../../../devices/pci0000:00/" + pci, directory / "device");
        return *this;
    }

private:
    fs::path root_;
};

std::error_code code_of(auto&& call)
{
    try {
        call();
    } catch (const std::system_error& error) {
        return error.code();
    }
    return {};
}

} // namespace

TEST_CASE("pci address: reads what sysfs and users write")
{
    CHECK(PciAddress::parse("0000:03:00.0") == PciAddress{0, 3, 0, 0});
    CHECK(PciAddress::parse("af:1f.7") == PciAddress{0, 0xaf, 31, 7});
    CHECK(PciAddress::parse("10000:e1:00.1") == PciAddress{0x10000, 0xe1, 0, 1});
    CHECK(PciAddress{0x10000, 0xe1, 2, 1}.to_string() == "10000:e1:02.1");
    CHECK(PciAddress{0, 3, 0x1f, 0}.to_string() == "0000:03:1f.0");
}

TEST_CASE("pci address: refuses what is none")
{
    for (const char* text :
         {"", ":", "3", "03:00", "03:20.0", "03:00.8", "03:00.0 ", " 03:00.0", "03:00.",
          "0000:03:00.0:1", "g0:00.0", "123456789:03:00.0", "03:00.00", "-3:00.0", "0x3:00.0"})
        CHECK_FALSE(PciAddress::parse(text));
}

TEST_CASE("pci address: survives the way through the kernel's structure")
{
    const PciAddress address{1, 0xff, 31, 7};
    CHECK(internal::from_uapi(internal::to_uapi(address)) == address);
    CHECK(internal::to_uapi(address).devfn == 0xff);
}

TEST_CASE("pci address: of an RDMA device")
{
    FakeSysfs sysfs;
    sysfs.add("efa_0", "0000:05:00.0");
    ibv_device device = {};
    const auto path = (sysfs.root() / "class/p2prdma/efa_0").native();
    std::strncpy(device.ibdev_path, path.c_str(), sizeof(device.ibdev_path) - 1);
    CHECK(pci_address_of(device) == PciAddress{0, 5, 0, 0});
    std::strcat(device.ibdev_path, "x");
    CHECK_FALSE(pci_address_of(device));
}

TEST_CASE("card: enumerates by number, and only cards")
{
    FakeSysfs sysfs;
    sysfs.add("card10", "0000:0a:00.0").add("card2", "0000:02:00.0").add("card", "0000:03:00.0");
    sysfs.add("cardx", "0000:04:00.0").add("other0", "0000:05:00.0").add("card3", "platform");
    const auto cards = Card::enumerate(sysfs.root());
    REQUIRE(cards.size() == 2);
    CHECK(cards[0].number == 2);
    CHECK(cards[0].address == PciAddress{0, 2, 0, 0});
    CHECK(cards[1].number == 10);
}

TEST_CASE("card: no module is told from no card")
{
    FakeSysfs sysfs;
    CHECK(code_of([&] { static_cast<void>(Card::enumerate(sysfs.root())); }) ==
          Errc::module_not_loaded);
    CHECK(Card::enumerate(sysfs.load_module().root()).empty());
}

TEST_CASE("card: opening what is no card")
{
    FakeSysfs sysfs;
    const auto file = (sysfs.root() / "card0").native();
    const auto open = [](const std::string& name) {
        return code_of([&] { static_cast<void>(Card::open(name)); });
    };
    CHECK(open(file) == Errc::no_such_card);
    ::close(::creat(file.c_str(), 0600));
    CHECK(open(file) == Errc::not_a_card);
    CHECK(open("/dev/null") == Errc::not_a_card);
    CHECK(open("nonsense") == Errc::bad_argument);
    CHECK(open("") == Errc::bad_argument);
    REQUIRE(fs::create_directory(sysfs.root() / "card2"));
    CHECK(open((sysfs.root() / "card2").native()) == Errc::not_a_card);
    // A FIFO without a writer must not block.
    const auto fifo = (sysfs.root() / "card1").native();
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(open(fifo) == Errc::not_a_card);
}

TEST_CASE("card: reads what the kernel tells")
{
    p2prdma_get_info told = {};
    told.numa_node = -1;
    told.mem_size = 1ull << 40;
    told.mem_free = 3;
    told.mem_largest_free = 2;
    told.mem_granule = 4096;
    told.pci_domain = 1;
    told.pci_bus = 2;
    told.pci_devfn = 0x19;
    told.pci_vendor = 0x1b36;
    told.pci_device = 0x1100;
    told.capabilities = P2PRDMA_CAP_MEM | P2PRDMA_CAP_REVOKE;
    std::memset(told.driver, 'x', sizeof(told.driver)); // no end
    const auto info = internal::from_uapi(told);
    CHECK(info.address == PciAddress{1, 2, 3, 1});
    CHECK(info.driver == std::string(P2PRDMA_NAME_LEN, 'x'));
    CHECK(info.mem_size == 1ull << 40);
    CHECK(info.mem_free == 3);
    CHECK(info.mem_largest_free == 2);
    CHECK(info.numa_node == -1);
    CHECK(info.has_memory);
    CHECK_FALSE(info.has_p2pdma);
    CHECK(info.has_revoke);
    CHECK_FALSE(info.has_doorbells);
}

TEST_CASE("reach: an answer of a later kernel counts as unsupported")
{
    p2prdma_query_reach answer = {};
    answer.reach = P2PRDMA_REACH_BRIDGE;
    CHECK(internal::from_uapi(answer).kind == Reach::Kind::peer_bridge);
    answer.reach = 77;
    CHECK(internal::from_uapi(answer).kind == Reach::Kind::unsupported);
}

TEST_CASE("reach: explains with both devices and the bridge")
{
    Reach reach;
    reach.card_name = "card0";
    reach.peer_name = "efa_0";
    reach.card = {0, 1, 0, 0};
    reach.peer = {0, 2, 0, 0};
    reach.card_port = {0, 0, 1, 0};
    reach.peer_port = {0, 0, 2, 0};
    reach.common = {0, 0, 0, 0};
    reach.host_vendor = 0x8086;
    reach.host_device = 0x29c0;
    reach.kind = Reach::Kind::refused;
    CHECK_FALSE(reach.reachable());
    CHECK(reach.explain() == "efa_0 (0000:02:00.0) cannot reach card0 (0000:01:00.0): no PCIe "
                             "switch joins them (ports 0000:00:02.0 "
                             "and 0000:00:01.0), and the kernel does not allow peer-to-peer "
                             "traffic through the host bridge "
                             "0000:00:00.0 [8086:29c0]");
    reach.host_vendor = 0xffff;
    CHECK_THAT(reach.explain(), ContainsSubstring("does not identify itself"));
    reach.kind = Reach::Kind::peer_switch;
    reach.common = {0, 4, 0, 0};
    CHECK(reach.reachable());
    CHECK(reach.explain() ==
          "efa_0 (0000:02:00.0) reaches card0 (0000:01:00.0) directly, below the PCIe bridge "
          "0000:04:00.0");
    reach.kind = Reach::Kind::peer_bridge;
    CHECK_THAT(reach.explain(), ContainsSubstring("through the host bridge"));
    reach.kind = Reach::Kind::unsupported;
    CHECK_THAT(reach.explain(), ContainsSubstring("does not support peer-to-peer"));
    reach.peer_is_pci = false;
    CHECK(reach.explain() == "efa_0 is not a PCI device: it cannot reach card0 (0000:01:00.0)");
    CHECK(std::string(to_string(Reach::Kind::refused)) == "refused");
}
