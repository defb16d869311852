// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/local_card.hpp"

#include "p2prdma/card.hpp"
#include "p2prdma/error.hpp"

#include <catch2/catch_all.hpp>
#include <filesystem>
#include <functional>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

using namespace p2prdma;
namespace fs = std::filesystem;

namespace {

/// What the module shows in sysfs on a card's own machine.
class FakeSysfs {
public:
    FakeSysfs()
    {
        std::string name = fs::temp_directory_path() / "p2prdma-sysfs-XXXXXX";
        REQUIRE(::mkdtemp(name.data()));
        root_ = name;
        fs::create_directories(root_ / "class/p2prdma");
        fs::create_directories(root_ / "class/p2prdma_local");
    }
    ~FakeSysfs() { fs::remove_all(root_); }

    const fs::path& root() const { return root_; }
    FakeSysfs& add(const std::string& name, const std::string& pool)
    {
        const auto directory = root_ / "class/p2prdma_local" / name;
        fs::create_directories(directory);
        fs::create_symlink("../../../devices/pci0000:00/" + pool, directory / "device");
        return *this;
    }

private:
    fs::path root_;
};

std::error_code code_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const std::system_error& error) {
        return error.code();
    }
    return {};
}

} // namespace

TEST_CASE("local card: those of the machine, by number")
{
    FakeSysfs sysfs;
    sysfs.add("local10", "0000:05:00.0").add("local2", "0000:03:00.0").add("junk", "0000:07:00.0");
    const auto cards = LocalCard::enumerate(sysfs.root());
    REQUIRE(cards.size() == 2);
    CHECK(cards[0].number == 2);
    CHECK(cards[0].pool == PciAddress{0, 3, 0, 0});
    CHECK(cards[1].number == 10);
    CHECK(Card::enumerate(sysfs.root()).empty());
}

TEST_CASE("local card: one that goes while it is listed is left out")
{
    FakeSysfs sysfs;
    sysfs.add("local0", "0000:03:00.0");
    fs::create_directories(sysfs.root() / "class/p2prdma_local/local1");
    CHECK(LocalCard::enumerate(sysfs.root()).size() == 1);
}

TEST_CASE("local card: without the module there are none")
{
    CHECK(code_of([] { static_cast<void>(LocalCard::enumerate("/nowhere")); }) ==
          Errc::module_not_loaded);
}

TEST_CASE("local card: what names none is refused")
{
    const auto opening = [](const char* name) {
        return code_of([&] { static_cast<void>(LocalCard::open(std::string_view(name))); });
    };
    CHECK(opening("card zero") == Errc::bad_argument);
    CHECK(opening("") == Errc::bad_argument);
    CHECK(opening("/dev/null") == Errc::not_a_card);
    CHECK(opening("/dev/p2prdma/local4000000000") == Errc::no_such_card);
}

TEST_CASE("local card: another device of that name is none")
{
    FakeSysfs sysfs;
    const auto path = sysfs.root() / "local0";
    fs::create_symlink("/dev/null", path);
    CHECK(code_of([&] { static_cast<void>(LocalCard::open(path.native())); }) == Errc::not_a_card);
}
