// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/control.hpp"

#include "tests/unit/lab_fake_qemu.hpp"
#include "tools/lab/lab_server.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <linux/pci_regs.h>
#include <sys/socket.h>
#include <sys/un.h>

using namespace lab;
using namespace lab::test;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

/// A client of the control socket, on the loop of the server.
class Client {
public:
    Client(EventLoop& loop, const std::string& path)
        : loop_(loop), socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size());
        REQUIRE(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) ==
                0);
    }

    void send(const std::string& text) const
    {
        REQUIRE(::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }
    json receive()
    {
        REQUIRE(pump(loop_, [this] { return take() || text_.find('\n') != std::string::npos; }));
        auto end = text_.find('\n');
        json reply = json::parse(text_.substr(0, end));
        text_.erase(0, end + 1);
        return reply;
    }
    json call(const json& request)
    {
        send(request.dump() + "\n");
        return receive();
    }

private:
    bool take()
    {
        std::array<char, 65536> buffer;
        ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n > 0)
            text_.append(buffer.data(), static_cast<std::size_t>(n));
        return false;
    }

    EventLoop& loop_;
    UniqueFd socket_;
    std::string text_;
};

struct Fixture {
    Directory directory;
    EventLoop loop;
    SharedFile ram{directory.file("ram"), 0x10000};
    LabServer server{loop, config()};
    ControlServer control{loop, server, directory.file("control.sock")};
    Client client{loop, directory.file("control.sock")};

    Config config() const
    {
        json cards = json::array();
        for (const char* id : {"card0", "card1"})
            cards.push_back({{"id", id},
                             {"type", "refcard"},
                             {"socket", directory.file(id)},
                             {"switch", "sw0"},
                             {"memory", 65536}});
        return parse_config(
            {{"control", directory.file("control.sock")},
             {"machines",
              {{{"name", "a"}, {"ram", {directory.file("ram")}}, {"devices", cards}}}}});
    }
    std::string complaint(const json& request)
    {
        json reply = client.call(request);
        CHECK(reply["ok"] == false);
        return reply.value("error", "");
    }
};

struct Connected : Fixture {
    FakeQemu qemu{loop, directory.file("card0")};
    Connected()
    {
        qemu.handshake();
        qemu.map(0, 0x10000, ram.fd.get());
        qemu.config_write(PCI_COMMAND, bytes(std::uint16_t{6}));
    }
};

} // namespace

TEST_CASE_METHOD(Fixture, "ping and the list of devices", "[lab][control]")
{
    CHECK(client.call({{"cmd", "ping"}}) == json{{"ok", true}});
    auto devices = client.call({{"cmd", "devices"}})["devices"];
    CHECK(devices["a.card0"] == json{{"type", "refcard"}, {"connected", false}});
    CHECK(devices.size() == 2);
}

TEST_CASE_METHOD(Fixture, "requests that make no sense get a sentence", "[lab][control]")
{
    CHECK_THAT(complaint({{"cmd", "fly"}}), ContainsSubstring("there is no command \"fly\""));
    CHECK_THAT(complaint({{"cmd", 3}}), ContainsSubstring("\"cmd\" that is not text"));
    CHECK_THAT(complaint(json::object()), ContainsSubstring("no \"cmd\""));
    CHECK_THAT(complaint(3), ContainsSubstring("not an object"));
    CHECK_THAT(complaint({{"cmd", "counters"}, {"device", "a.none"}}),
               ContainsSubstring("there is no device \"a.none\""));
    CHECK_THAT(complaint({{"cmd", "raise"}, {"device", "a.card0"}}),
               ContainsSubstring("no \"vector\""));
    CHECK_THAT(
        complaint({{"cmd", "peer-read"}, {"device", "a.card0"}, {"address", 0}, {"length", 0}}),
        ContainsSubstring("\"length\""));
    for (const char* data : {"123", "xy", "0x", "-1"})
        CHECK_THAT(
            complaint(
                {{"cmd", "peer-write"}, {"device", "a.card0"}, {"address", 0}, {"data", data}}),
            ContainsSubstring("hexadecimal"));
    client.send("what?\n");
    CHECK_THAT(client.receive().value("error", ""), ContainsSubstring("not JSON"));
}

TEST_CASE_METHOD(Fixture, "a device that may not master the bus says so", "[lab][control]")
{
    CHECK_THAT(
        complaint({{"cmd", "peer-write"}, {"device", "a.card0"}, {"address", 0}, {"data", "00"}}),
        ContainsSubstring("Operation not permitted"));
}

TEST_CASE_METHOD(Connected, "a test makes a device do DMA, and counts it", "[lab][control]")
{
    auto reply = client.call(
        {{"cmd", "peer-write"}, {"device", "a.card0"}, {"address", 256}, {"data", "00ffA5"}});
    CHECK(reply["ok"] == true);
    CHECK(reply["routes"]["host_dram"] == 3);
    CHECK(ram.bytes()[258] == std::byte{0xa5});
    reply =
        client.call({{"cmd", "peer-read"}, {"device", "a.card0"}, {"address", 256}, {"length", 4}});
    CHECK(reply["data"] == "00ffa500");

    auto counters = client.call({{"cmd", "counters"}})["devices"];
    CHECK(counters["a.card0"]["connected"] == true);
    CHECK(counters["a.card0"]["dma"]["write"]["host_dram"] == 3);
    CHECK(counters["a.card0"]["dma"]["read"]["host_dram"] == 4);
    CHECK(counters["a.card0"]["messages"]["dma_map"] == 1);
    CHECK(counters["a.card0"]["messages"]["total"] == 3);
    CHECK(counters["a.card0"]["registers"]["config"]["writes"] == 1);
    CHECK(counters["a.card0"]["model"]["memory"] == 65536);
    CHECK(counters["a.card1"]["connected"] == false);

    client.call({{"cmd", "reset-counters"}, {"device", "a.card0"}});
    auto device = client.call({{"cmd", "counters"}, {"device", "a.card0"}})["devices"];
    CHECK(device.size() == 1);
    CHECK(device["a.card0"]["dma"]["write"]["host_dram"] == 0);
    CHECK(device["a.card0"]["messages"]["total"] == 0);
}

TEST_CASE_METHOD(Fixture, "violations are told until they are taken", "[lab][control]")
{
    Violations& violations = server.find("a.card1")->device->violations();
    json ask{{"cmd", "violations"}};
    CHECK(client.call(ask)["violations"].empty());
    for (const char* detail : {"here", "there"})
        violations.add("it went wrong", detail);
    json expected{
        {{"device", "a.card1"}, {"kind", "it went wrong"}, {"count", 2}, {"first", "here"}}};
    CHECK(client.call(ask)["violations"] == expected);
    ask["take"] = true;
    CHECK(client.call(ask)["violations"] == expected);
    CHECK(client.call(ask)["violations"].empty());
}

TEST_CASE("a guest cannot fill the memory with violations", "[lab][control]")
{
    Violations violations;
    for (unsigned i = 0; i < 1000; ++i)
        violations.add("number " + std::to_string(i), "");
    CHECK(violations.seen().size() <= Violations::max_kinds + 1);
    CHECK(violations.seen().at("more").count == 1000 - Violations::max_kinds);
}

TEST_CASE_METHOD(Connected, "requests are answered in order, also if one must wait",
                 "[lab][control]")
{
    client.send(R"({"cmd":"peer-read","device":"a.card0","address":1099511627776,"length":2})"
                "\n{\"cmd\":\"ping\"}\n");
    qemu.answer(0, bytes(std::uint16_t{0x1234}));
    CHECK(client.receive()["data"] == "3412");
    CHECK(client.receive() == json{{"ok", true}});
}

TEST_CASE_METHOD(Connected, "a client that leaves before its answer is forgotten", "[lab][control]")
{
    {
        Client other(loop, directory.file("control.sock"));
        other.send("{\"cmd\":\"peer-read\",\"device\":\"a.card0\",\"address\":1099511627776,"
                   "\"length\":2}\n");
        REQUIRE(pump(loop, [this] { return !qemu.requests.empty(); }));
    }
    loop.run_once(std::chrono::milliseconds(10));
    qemu.answer(0, bytes(std::uint16_t{0}));
    CHECK(client.call({{"cmd", "ping"}})["ok"] == true);
}

TEST_CASE_METHOD(Connected, "interrupts and the model's own requests", "[lab][control]")
{
    json raise{{"cmd", "raise"}, {"device", "a.card0"}, {"vector", 2}};
    CHECK(client.call(raise)["raised"] == false);
    qemu.config_write(0x82, bytes(std::uint16_t{PCI_MSIX_FLAGS_ENABLE}));
    CHECK(client.call(raise)["raised"] == true);
    json fault{{"cmd", "device"}, {"device", "a.card0"}, {"request", {{"fault", true}}}};
    CHECK(client.call(fault)["status"] == 3);
    fault["request"] = {{"melt", true}};
    CHECK_THAT(complaint(fault), ContainsSubstring("melt"));
}
