// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/l2_device.hpp"

#include "p2prdma/error.hpp"
#include "p2prdma/unique_fd.hpp"
#include "tools/p2prdma/patience.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace p2prdma::tool {
namespace {

constexpr std::size_t key_bytes = 32;
constexpr auto look_time = std::chrono::milliseconds(250);
constexpr int looks = 8; // broadcasts may be lost, too

/// "ab12..." of 64 digits into 32 bytes; nothing if it is not that.
std::vector<std::byte> from_hex(std::string_view text)
{
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 2 <= text.size(); i += 2) {
        std::uint8_t value = 0;
        const auto [stop, error] = std::from_chars(&text[i], &text[i] + 2, value, 16);
        if (error != std::errc() || stop != &text[i] + 2)
            return {};
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

std::vector<std::byte> read_at_most(int fd, std::size_t limit)
{
    std::vector<std::byte> bytes(limit);
    std::size_t filled = 0;
    ssize_t got = 1;
    while (got > 0 && filled < limit) {
        got = ::read(fd, bytes.data() + filled, limit - filled);
        filled += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    bytes.resize(filled);
    return bytes;
}

std::string_view as_text(const std::vector<std::byte>& bytes)
{
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
        text.remove_suffix(1);
    return text;
}

/// Sentence and command that give the missing capability to this program.
std::string how_to_permit(l2::PortKind port)
{
    const std::string capabilities =
        port == l2::PortKind::xdp ? "cap_net_raw,cap_net_admin,cap_bpf" : "cap_net_raw";
    return "this needs " + capabilities + "; give it with: setcap " + capabilities +
           "+ep $(command -v p2prdma)";
}

bool is_permission(const std::error_code& code)
{
    return code == std::errc::operation_not_permitted || code == std::errc::permission_denied;
}

void add_port_kind(CLI::App& command, l2::PortKind& kind)
{
    command
        .add_option_function<std::string>(
            "--port-kind", [&kind](const std::string& name) { kind = *l2::parse_port_kind(name); },
            "What carries the frames: automatic, packet (bandwidth), ring (latency) or xdp")
        ->type_name("KIND")
        ->default_str("automatic")
        ->check([](const std::string& name) {
            return l2::parse_port_kind(name)
                       ? ""
                       : "'" + name + "' is none of automatic, packet, ring, xdp";
        });
}

void add_faults(CLI::App& command, l2::FaultMode& mode)
{
    command
        .add_option_function<std::string>(
            "--faults",
            [&mode](const std::string& name) {
                mode = name == "rnr" ? l2::FaultMode::rnr : l2::FaultMode::delay;
            },
            "When a page is missing: tell the sender to wait (delay), or drop the frame as other "
            "adapters do (rnr)")
        ->type_name("MODE")
        ->default_str("delay")
        ->check(CLI::IsMember({"delay", "rnr"}));
}

void add_frame_options(CLI::App& command, l2::DeviceOptions& device)
{
    command
        .add_option("--ether-type", device.ether_type,
                    "The frames' EtherType, such as 0x88b5 (the default)")
        ->check(CLI::Range(0x0600u, 0xffffu));
    command
        .add_option_function<std::uint16_t>(
            "--vlan", [&device](std::uint16_t vlan) { device.vlan = vlan; },
            "Put the frames into this VLAN, 1 to 4094")
        ->check(CLI::Range(1u, 4094u));
    command
        .add_option("--mtu", device.frame_limit,
                    "Bytes of a frame at most, headers included; default: what the link takes")
        ->check(CLI::Range(128u, 65535u));
    command.add_option("--name", device.name, "Be found by this name; default: the host's");
}

void add_test_options(CLI::App& command, l2::DeviceOptions& device)
{
    command
        .add_option("--lose", device.lose,
                    "For tests: drop this share (0 to 0.5) of the own frames before they are sent")
        ->check(CLI::Range(0.0, 0.5));
    command.add_option("--lose-seed", device.lose_seed, "Which frames those are");
}

} // namespace

std::vector<std::byte> read_l2_key(const std::string& path)
{
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status = {};
    if (!fd || ::fstat(fd.get(), &status) < 0)
        throw system_failure(errno, "cannot read the key " + path);
    if (S_ISREG(status.st_mode) && (status.st_mode & (S_IRWXG | S_IRWXO)))
        throw Failure(Exit::failed, "key_not_private",
                      "others may use the key " + path + "; make it yours with: chmod 600 " + path);
    auto bytes = read_at_most(fd.get(), 2 * key_bytes + 2);
    if (bytes.size() != key_bytes)
        bytes = from_hex(as_text(bytes));
    if (bytes.size() != key_bytes)
        throw Failure(Exit::usage, "bad_key",
                      path + " is no key of 32 bytes, or 64 hexadecimal digits; make one with: "
                             "head -c 32 /dev/urandom > FILE");
    return bytes;
}

void add_l2_options(CLI::App& command, L2Options& options, bool required)
{
    command.add_option("-i,--interface", options.interface, "The Ethernet interface")
        ->type_name("IF")
        ->required(required);
    add_port_kind(command, options.device.port);
    add_frame_options(command, options.device);
    command
        .add_option_function<std::string>(
            "--key",
            [&options](const std::string& path) { options.device.secret = read_l2_key(path); },
            "A file with the secret of 32 bytes that both ends share: peers and frames are "
            "authenticated")
        ->type_name("FILE");
    command.add_flag("--trust-segment", options.device.trust_segment,
                     "Take peers without the secret although the interface is a port of a bridge");
    add_faults(command, options.device.faults);
    add_test_options(command, options.device);
}

bool wants_l2(const L2Options& options, const std::string& via, const std::string& card,
              const std::string& device)
{
    const auto refuse = [](const char* why) { throw Failure(Exit::usage, "usage", why); };
    if (via != "l2" && options.interface.empty())
        return false;
    if (!via.empty() && via != "l2")
        refuse("--interface is for --via l2");
    if (options.interface.empty())
        refuse("--via l2 needs an --interface");
    if (!card.empty() || !device.empty())
        refuse("--card and --device are not for --via l2");
    return true;
}

Failure l2_failure(const std::exception& error, const L2Options& options)
{
    auto failure = Failure::of(error);
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    if (system && system->code() == std::errc::no_such_device)
        return {Exit::no_device, "no_such_interface", error.what()};
    if (!system || !is_permission(system->code()))
        return failure;
    return {Exit::failed, "not_permitted",
            "cannot use " + options.interface + ": " + how_to_permit(options.device.port)};
}

l2::Device open_l2(const L2Options& options)
{
    try {
        return l2::Device::open(options.interface, options.device);
    } catch (const std::exception& error) {
        throw l2_failure(error, options);
    }
}

l2::MacAddress find_l2_peer(l2::Device& device, const std::string& name, std::uint32_t service,
                            Patience& patience)
{
    if (const auto address = l2::MacAddress::parse(name))
        return *address;
    for (int look = 0; look < looks; look++) {
        patience.check("looking for " + name);
        const auto peers = device.discover(service, look_time);
        const auto found = std::ranges::find(peers, name, &l2::Peer::name);
        if (found != peers.end())
            return found->address;
    }
    throw Failure(Exit::peer_lost, "peer_lost",
                  "nobody named '" + name + "' serves " + std::to_string(service) +
                      " on the segment of " + device.interface() + " (see p2prdma l2 stat -i " +
                      device.interface() + ")");
}

Failure l2_operation_failure(const std::string& interface, const std::string& what,
                             l2::Status status)
{
    using l2::Status;
    const bool lost = status == Status::retry_exceeded || status == Status::peer_gone ||
                      status == Status::flushed;
    return {lost ? Exit::peer_lost : Exit::failed, lost ? "peer_lost" : "rdma_failed",
            what + " on " + interface + " failed: " + l2::to_string(status)};
}

} // namespace p2prdma::tool
