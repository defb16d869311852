// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/unit/lab_fake_qemu.hpp"

#include <catch2/catch_test_macros.hpp>
#include <system_error>

using namespace lab;
using namespace lab::test;

TEST_CASE("enabled BARs are found by address", "[lab][machine]")
{
    EventLoop loop;
    Machine machine("a", {"/none"});
    RecordingDevice one(loop, "a.one");
    RecordingDevice two(loop, "a.two");
    machine.add(one, "sw0");
    machine.add(two, "");
    one.place(0, 0xfe000000);
    two.place(0, 0xfd000000);
    CHECK(machine.find_bar(0xfe000000) == nullptr);
    one.command(true, false);
    two.command(true, false);
    REQUIRE(machine.find_bar(0xfe00ffff) != nullptr);
    CHECK(machine.find_bar(0xfe00ffff)->device == &one);
    CHECK(machine.find_bar(0xfd000000)->device == &two);
    CHECK(machine.find_bar(0xfe010000) == nullptr);
    CHECK(machine.find_bar(0xfcffffff) == nullptr);
    CHECK(machine.next_bar(0) == 0xfd000000);
    CHECK(machine.next_bar(0xfd000000) == 0xfe000000);
    CHECK(machine.next_bar(0xfe000000) == ~0ULL);

    one.place(0, 0xfc000000); // moved
    CHECK(machine.find_bar(0xfe000000) == nullptr);
    CHECK(machine.find_bar(0xfc000000)->device == &one);
    machine.remove(one);
    CHECK(machine.find_bar(0xfc000000) == nullptr);
}

TEST_CASE("devices without a switch share none", "[lab][machine]")
{
    EventLoop loop;
    Machine machine("a", {"/none"});
    RecordingDevice one(loop, "a.one");
    RecordingDevice two(loop, "a.two");
    RecordingDevice three(loop, "a.three");
    RecordingDevice four(loop, "a.four");
    machine.add(one, "sw0");
    machine.add(two, "sw0");
    machine.add(three, "");
    machine.add(four, "");
    CHECK(Machine::same_switch(one, two));
    CHECK_FALSE(Machine::same_switch(one, three));
    CHECK_FALSE(Machine::same_switch(three, four));
}

TEST_CASE("files are told apart by what they are, not by how they are called", "[lab][machine]")
{
    Directory directory;
    EventLoop loop;
    SharedFile ram(directory.file("ram"), 0x10000);
    SharedFile bar(directory.file("bar"), 0x10000);
    std::filesystem::create_symlink(directory.file("ram"), directory.file("link"));
    Machine machine("a", {directory.file("link")}, {{directory.file("bar"), "sw0"}});
    RecordingDevice below(loop, "a.below");
    RecordingDevice elsewhere(loop, "a.elsewhere");
    machine.add(below, "sw0");
    machine.add(elsewhere, "sw1");

    auto memory = machine.map_file(ram.fd.get(), true);
    auto peer = machine.map_file(bar.fd.get(), true);
    CHECK(Machine::route(below, *memory) == Route::host_dram);
    CHECK(Machine::route(below, *peer) == Route::peer_switch);
    CHECK(Machine::route(elsewhere, *peer) == Route::peer_bridge);
}

TEST_CASE("each file is mapped once while it is in use", "[lab][machine]")
{
    Directory directory;
    SharedFile ram(directory.file("ram"), 0x10000);
    Machine machine("a", {directory.file("ram")});
    auto first = machine.map_file(ram.fd.get(), true);
    UniqueFd again{::dup(ram.fd.get())};
    CHECK(machine.map_file(again.get(), true) == first);
    CHECK(machine.map_file(ram.fd.get(), false) != first);
    CHECK_THROWS_AS(machine.map_file(-1, true), std::system_error);
}
