// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/config.hpp"

#include "tests/unit/lab_fake_qemu.hpp"
#include "tools/lab/device_factory.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

using namespace lab;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

json good()
{
    return json::parse(R"({"control": "/run/c.sock", "machines": [
        {"name": "a", "ram": ["/dev/shm/a"], "bars": [{"path": "/dev/shm/i", "switch": "sw0"}],
         "devices": [
            {"id": "card0", "type": "refcard", "socket": "/run/a0", "switch": "sw0",
             "memory": 4096},
            {"id": "card1", "type": "refcard", "socket": "/run/a1", "switch": null,
             "memory": 8192, "serial": 7}]}]})");
}

std::string complaint(const json& config)
{
    try {
        parse_config(config);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "none";
}

std::string factory_complaint(const std::string& type, const json& options)
{
    EventLoop loop;
    DeviceFactory factory(loop);
    DeviceConfig config{
        .id = "x", .type = type, .socket = "s", .switch_name = "", .options = options};
    try {
        (void)factory.make("a.x", config);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "none";
}

} // namespace

TEST_CASE("a configuration is taken over", "[lab][config]")
{
    Config config = parse_config(good());
    CHECK(config.control == "/run/c.sock");
    REQUIRE(config.machines.size() == 1);
    const auto& machine = config.machines[0];
    CHECK(machine.ram == std::vector<std::string>{"/dev/shm/a"});
    CHECK(machine.bars[0].switch_name == "sw0");
    REQUIRE(machine.devices.size() == 2);
    CHECK(machine.devices[0].switch_name == "sw0");
    CHECK(machine.devices[1].switch_name.empty());
    CHECK(machine.devices[1].options == json{{"memory", 8192}, {"serial", 7}});
}

TEST_CASE("what makes no sense is refused by name", "[lab][config]")
{
    auto config = good();
    auto& machine = config["machines"][0];
    SECTION("no control socket")
    {
        config.erase("control");
        CHECK_THAT(complaint(config), ContainsSubstring("no \"control\""));
    }
    SECTION("unknown key")
    {
        config["mashines"] = 1;
        CHECK_THAT(complaint(config), ContainsSubstring("unknown key \"mashines\""));
    }
    SECTION("unknown key in a machine")
    {
        machine["cpu"] = 1;
        CHECK_THAT(complaint(config), ContainsSubstring("unknown key \"cpu\""));
    }
    SECTION("no memory file")
    {
        machine.erase("ram");
        CHECK_THAT(complaint(config), ContainsSubstring("machine \"a\" has no \"ram\""));
    }
    SECTION("memory files that are not paths")
    {
        machine["ram"] = {1};
        CHECK_THAT(complaint(config), ContainsSubstring("\"ram\" is a list of paths"));
    }
    SECTION("the same device twice")
    {
        machine["devices"][1]["id"] = "card0";
        CHECK_THAT(complaint(config), ContainsSubstring("\"a.card0\" is used twice"));
    }
    SECTION("the same socket twice")
    {
        machine["devices"][1]["socket"] = "/run/c.sock";
        CHECK_THAT(complaint(config), ContainsSubstring("\"/run/c.sock\" is used twice"));
    }
    SECTION("a device without a type")
    {
        machine["devices"][0].erase("type");
        CHECK_THAT(complaint(config), ContainsSubstring("no \"type\""));
    }
    SECTION("a number where a name belongs")
    {
        machine["devices"][0]["switch"] = 3;
        CHECK_THAT(complaint(config), ContainsSubstring("\"switch\" that is not text: 3"));
    }
    SECTION("no object at all")
    {
        CHECK_THAT(complaint(json::array()), ContainsSubstring("not an object"));
        config["machines"] = {1};
        CHECK_THAT(complaint(config), ContainsSubstring("not an object"));
        config["machines"] = 1;
        CHECK_THAT(complaint(config), ContainsSubstring("not a list"));
    }
}

TEST_CASE("a file that is missing or no JSON is refused", "[lab][config]")
{
    test::Directory directory;
    CHECK_THROWS_WITH(read_config(directory.file("none")), ContainsSubstring("cannot read"));
    std::ofstream(directory.file("bad")) << "{";
    CHECK_THROWS_WITH(read_config(directory.file("bad")), ContainsSubstring("is not JSON"));
    std::ofstream(directory.file("good")) << good();
    CHECK(read_config(directory.file("good")).machines.size() == 1);
}

TEST_CASE("the factory knows the types and their options", "[lab][config]")
{
    CHECK(factory_complaint("refcard", {{"memory", 4096}}) == "none");
    CHECK_THAT(factory_complaint("gpu", json::object()),
               ContainsSubstring("there is no type \"gpu\""));
    CHECK_THAT(factory_complaint("refcard-pool", json::object()), ContainsSubstring("no \"of\""));
    CHECK_THAT(factory_complaint("refcard-aperture", {{"of", "a.card0"}}),
               ContainsSubstring("no device before it is a \"refcard\" called \"a.card0\""));
    CHECK_THAT(factory_complaint("refcard", json::object()), ContainsSubstring("no \"memory\""));
    CHECK_THAT(factory_complaint("refcard", {{"memory", 5000}}), ContainsSubstring("not 5000"));
    CHECK_THAT(factory_complaint("refcard", {{"memory", -1}}), ContainsSubstring("\"memory\""));
    CHECK_THAT(factory_complaint("refcard", {{"memory", 4096}, {"serail", 1}}),
               ContainsSubstring("unknown key \"serail\""));
}
