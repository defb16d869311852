// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/capture_file.hpp"

#include "tools/p2prdma/failure.hpp"

#include <cerrno>
#include <concepts>

#include <fcntl.h>
#include <unistd.h>

namespace p2prdma::tool {
namespace {

// As the IETF's draft-ietf-opsawg-pcapng names them. The file has this machine's byte order, which
// its first block tells.
constexpr std::uint32_t section_header = 0x0a0d0d0a;
constexpr std::uint32_t interface_description = 1;
constexpr std::uint32_t enhanced_packet = 6;
constexpr std::uint32_t byte_order_magic = 0x1a2b3c4d;
constexpr std::uint16_t link_type_ethernet = 1;
constexpr std::uint16_t option_end = 0;
constexpr std::uint16_t option_if_name = 2;
constexpr std::uint16_t option_if_tsresol = 9;
constexpr std::uint16_t option_epb_flags = 2;
constexpr std::uint8_t nanoseconds = 9;

template <std::unsigned_integral T>
void add(std::vector<std::byte>& to, T value)
{
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    to.insert(to.end(), bytes, bytes + sizeof(value));
}

void pad(std::vector<std::byte>& to)
{
    to.resize((to.size() + 3) / 4 * 4);
}

void add_option(std::vector<std::byte>& to, std::uint16_t code, std::span<const std::byte> value)
{
    add(to, code);
    add(to, static_cast<std::uint16_t>(value.size()));
    to.insert(to.end(), value.begin(), value.end());
    pad(to);
}

std::vector<std::byte> section_body()
{
    std::vector<std::byte> body;
    add(body, byte_order_magic);
    add(body, std::uint16_t{1}); // version 1.0
    add(body, std::uint16_t{0});
    add(body, UINT64_MAX); // how long the section is, is not said
    return body;
}

std::vector<std::byte> interface_body(const std::string& name)
{
    std::vector<std::byte> body;
    add(body, link_type_ethernet);
    add(body, std::uint16_t{0});
    add(body, std::uint32_t{0}); // no frame is cut off
    add_option(body, option_if_name, std::as_bytes(std::span(name)));
    add_option(body, option_if_tsresol, std::as_bytes(std::span(&nanoseconds, 1)));
    add_option(body, option_end, {});
    return body;
}

std::vector<std::byte> packet_body(const TappedFrame& frame)
{
    const auto time = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(frame.time.time_since_epoch())
            .count());
    const std::uint32_t direction = frame.outgoing ? 2 : 1;
    std::vector<std::byte> body;
    add(body, std::uint32_t{0}); // the interface
    add(body, static_cast<std::uint32_t>(time >> 32));
    add(body, static_cast<std::uint32_t>(time));
    add(body, static_cast<std::uint32_t>(frame.bytes.size()));
    add(body, static_cast<std::uint32_t>(frame.length));
    body.insert(body.end(), frame.bytes.begin(), frame.bytes.end());
    pad(body);
    add_option(body, option_epb_flags, std::as_bytes(std::span(&direction, 1)));
    add_option(body, option_end, {});
    return body;
}

} // namespace

CaptureFile::CaptureFile(const std::string& path, const std::string& interface) : path_(path)
{
    if (path == "-")
        fd_ = STDOUT_FILENO;
    else
        owned_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (owned_)
        fd_ = owned_.get();
    if (fd_ < 0)
        throw system_failure(errno, "cannot write " + path);
    write_block(section_header, section_body());
    write_block(interface_description, interface_body(interface));
}

void CaptureFile::write(const TappedFrame& frame)
{
    write_block(enhanced_packet, packet_body(frame));
}

void CaptureFile::write_block(std::uint32_t type, std::span<const std::byte> body)
{
    const auto length = static_cast<std::uint32_t>(body.size() + 12);
    block_.clear();
    add(block_, type);
    add(block_, length);
    block_.insert(block_.end(), body.begin(), body.end());
    add(block_, length);
    for (std::span<const std::byte> rest(block_); !rest.empty();) {
        const auto written = ::write(fd_, rest.data(), rest.size());
        if (written < 0 && errno != EINTR)
            throw system_failure(errno, "cannot write " + path_);
        rest = rest.subspan(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

} // namespace p2prdma::tool
