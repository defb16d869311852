// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/error.hpp"
#include "p2prdma/isolation.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdlib>
#include <fstream>

using namespace p2prdma;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

const PciAddress card = {0, 3, 0, 0};
const PciAddress adapter = {0, 4, 0, 0};

/// A sysfs with PCI devices and IOMMU groups.
class Sysfs {
public:
    Sysfs()
    {
        char name[] = "/tmp/isolation-XXXXXX";
        root_ = ::mkdtemp(name);
    }
    Sysfs(const Sysfs&) = delete;
    Sysfs& operator=(const Sysfs&) = delete;
    ~Sysfs() { fs::remove_all(root_); }

    const fs::path& root() const { return root_; }

    void add(const std::string& address, const std::string& group = "",
             const std::string& device_class = "0x020000")
    {
        const auto device = root_ / "bus/pci/devices" / address;
        fs::create_directories(device);
        std::ofstream(device / "class") << device_class << "\n";
        if (group.empty())
            return;
        const auto devices = root_ / "kernel/iommu_groups" / group / "devices";
        fs::create_directories(devices);
        fs::create_directory_symlink(device, devices / address);
        fs::create_directory_symlink(devices.parent_path(), device / "iommu_group");
    }
    /// A device where sysfs really has it, and the link to it.
    void add_below(const std::string& bridges, const std::string& address,
                   const std::string& device_class = "0x020000")
    {
        const auto device = root_ / "devices/pci0000:00" / bridges / address;
        fs::create_directories(device);
        std::ofstream(device / "class") << device_class << "\n";
        fs::create_directories(root_ / "bus/pci/devices");
        fs::create_directory_symlink(device, root_ / "bus/pci/devices" / address);
    }
    void set_type(const std::string& group, const std::string& type)
    {
        std::ofstream(root_ / "kernel/iommu_groups" / group / "type") << type << "\n";
    }

private:
    fs::path root_;
};

Isolation with_own_groups(const std::string& type)
{
    Sysfs sysfs;
    sysfs.add("0000:03:00.0", "7");
    sysfs.add("0000:03:00.1", "7"); // the card's own
    sysfs.add("0000:00:02.0", "7", "0x060400");
    sysfs.add("0000:04:00.0", "8");
    sysfs.set_type("7", type);
    sysfs.set_type("8", "identity");
    return isolation_of(card, adapter, {}, sysfs.root());
}

} // namespace

TEST_CASE("Isolation: the type of the card's IOMMU domain decides")
{
    CHECK(with_own_groups("DMA").level == Isolation::Level::iommu_strict);
    CHECK(with_own_groups("DMA-FQ").level == Isolation::Level::iommu_lazy);
    CHECK(with_own_groups("identity").level == Isolation::Level::none);
    CHECK_THAT(with_own_groups("identity").reason, ContainsSubstring("passthrough"));
    CHECK(with_own_groups("surprise").level == Isolation::Level::none);
    CHECK_THAT(with_own_groups("surprise").reason, ContainsSubstring("'surprise'"));
}

TEST_CASE("Isolation: none without an IOMMU")
{
    Sysfs sysfs;
    sysfs.add("0000:03:00.0");
    const auto isolation = isolation_of(card, adapter, {}, sysfs.root());
    CHECK(isolation.level == Isolation::Level::none);
    CHECK_THAT(isolation.reason, ContainsSubstring("no IOMMU"));
}

TEST_CASE("Isolation: none for a card that is not there")
{
    const Sysfs sysfs;
    CHECK(isolation_of(card, adapter, {}, sysfs.root()).level == Isolation::Level::none);
}

TEST_CASE("Isolation: none if the card reaches somebody past the IOMMU")
{
    Sysfs sysfs;
    sysfs.add("0000:03:00.0", "7");
    sysfs.add("0000:02:00.0", "7");
    sysfs.set_type("7", "DMA");
    auto isolation = isolation_of(card, adapter, {}, sysfs.root());
    CHECK(isolation.level == Isolation::Level::none);
    CHECK_THAT(isolation.reason, ContainsSubstring("0000:02:00.0 past the IOMMU"));
    sysfs.add("0000:04:00.0", "7");
    isolation = isolation_of(card, adapter, {}, sysfs.root());
    CHECK_THAT(isolation.reason, ContainsSubstring("0000:04:00.0 (the adapter) past"));
}

TEST_CASE("Isolation: none if the card reaches somebody directly, whatever the groups say")
{
    Sysfs sysfs;
    sysfs.add("0000:03:00.0", "7");
    sysfs.set_type("7", "DMA");
    const auto isolation = isolation_of(card, adapter, {adapter}, sysfs.root());
    CHECK(isolation.level == Isolation::Level::none);
    CHECK_THAT(isolation.reason, ContainsSubstring("(the adapter) past the IOMMU"));
}

TEST_CASE("Isolation: siblings are below the same root port")
{
    Sysfs sysfs;
    sysfs.add_below("0000:00:02.0/0000:01:00.0/0000:02:00.0", "0000:03:00.0");
    sysfs.add_below("0000:00:02.0/0000:01:00.0/0000:02:00.0", "0000:03:00.1");
    sysfs.add_below("0000:00:02.0/0000:01:00.0/0000:02:01.0", "0000:04:00.0");
    sysfs.add_below("0000:00:02.0/0000:01:00.0", "0000:02:01.0", "0x060400");
    sysfs.add_below("0000:00:03.0", "0000:05:00.0");
    CHECK(siblings_of(card, sysfs.root()) == std::vector{adapter});
    CHECK(siblings_of({0, 5, 0, 0}, sysfs.root()).empty());
    CHECK(siblings_of({0, 9, 0, 0}, sysfs.root()).empty());
}

TEST_CASE("Isolation: a level can be demanded")
{
    const Isolation lazy = {Isolation::Level::iommu_lazy, "why"};
    CHECK_NOTHROW(lazy.require(Isolation::Level::none));
    CHECK_NOTHROW(lazy.require(Isolation::Level::iommu_lazy));
    try {
        lazy.require(Isolation::Level::iommu_strict);
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::not_isolated);
        CHECK_THAT(error.what(), ContainsSubstring("iommu-strict is demanded") &&
                                     ContainsSubstring("iommu-lazy: why"));
    }
}

TEST_CASE("Isolation: levels have names")
{
    for (const auto level :
         {Isolation::Level::none, Isolation::Level::iommu_lazy, Isolation::Level::iommu_strict})
        CHECK(parse_isolation(to_string(level)) == level);
    CHECK_FALSE(parse_isolation("strict"));
    CHECK_FALSE(parse_isolation(""));
}
