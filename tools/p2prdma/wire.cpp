// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/wire.hpp"

#include "tools/p2prdma/failure.hpp"

#include <algorithm>
#include <concepts>
#include <cstring>
#include <limits>
#include <type_traits>

namespace p2prdma::tool::wire {
namespace {

constexpr std::size_t sentence_size = 256;
constexpr std::uint32_t max_24_bits = (1u << 24) - 1;

[[noreturn]] void refuse(const std::string& what)
{
    throw Failure(Exit::failed, "protocol", "the peer does not follow the protocol: " + what);
}

void require(bool right, const char* what)
{
    if (!right)
        refuse(what);
}

/// Walks through a message's fields, to write them.
class Writer {
public:
    explicit Writer(std::vector<std::byte>& out) : out_(out) {}

    template <std::unsigned_integral T>
    void operator()(const T& value)
    {
        for (std::size_t i = 0; i < sizeof(T); i++)
            out_.push_back(static_cast<std::byte>(value >> (8 * i)));
    }
    template <std::size_t N>
    void operator()(const std::array<std::byte, N>& bytes)
    {
        out_.insert(out_.end(), bytes.begin(), bytes.end());
    }
    void operator()(const std::string& text)
    {
        std::array<std::byte, sentence_size> field = {};
        std::memcpy(field.data(), text.data(), std::min(text.size(), field.size() - 1));
        (*this)(field);
    }
    void operator()(const Transport& value) { (*this)(static_cast<std::uint8_t>(value)); }
    void zero(std::size_t count) { out_.resize(out_.size() + count); }

private:
    std::vector<std::byte>& out_;
};

/// The same, to read them from a body whose size was checked against its type.
class Reader {
public:
    explicit Reader(std::span<const std::byte> in) : in_(in) {}

    template <std::unsigned_integral T>
    void operator()(T& value)
    {
        value = 0;
        const auto bytes = take(sizeof(T));
        for (std::size_t i = 0; i < sizeof(T); i++)
            value = static_cast<T>(value | std::to_integer<T>(bytes[i]) << (8 * i));
    }
    template <std::size_t N>
    void operator()(std::array<std::byte, N>& bytes)
    {
        std::ranges::copy(take(N), bytes.begin());
    }
    void operator()(std::string& text);
    void operator()(Transport& value)
    {
        std::uint8_t number = 0;
        (*this)(number);
        value = static_cast<Transport>(number);
    }
    void zero(std::size_t count)
    {
        require(std::ranges::all_of(take(count), [](std::byte b) { return b == std::byte{}; }),
                "a reserved field is not zero");
    }

private:
    std::span<const std::byte> take(std::size_t count)
    {
        require(count <= in_.size(), "a message is too short");
        const auto bytes = in_.first(count);
        in_ = in_.subspan(count);
        return bytes;
    }

    std::span<const std::byte> in_;
};

void Reader::operator()(std::string& text)
{
    const auto field = take(sentence_size);
    require(field.back() == std::byte{}, "a sentence has no end");
    text = reinterpret_cast<const char*>(field.data());
    // It goes to a terminal.
    std::ranges::replace_if(
        text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
}

// The layout of each message, for reading and writing alike. Fields are naturally aligned.

template <class Visitor>
void walk(Visitor& field,
          auto& message) requires std::same_as<std::remove_cvref_t<decltype(message)>, Hello>
{
    field(message.transport);
    field(message.mtu);
    field(message.lid);
    field(message.qp_number);
    field(message.qkey);
    field(message.packet_number);
    field(message.gid);
}

template <class Visitor>
void walk(Visitor& field,
          auto& message) requires std::same_as<std::remove_cvref_t<decltype(message)>, Offer>
{
    field(message.file_bytes);
    field(message.piece_bytes);
}

template <class Visitor>
void walk(Visitor& field,
          auto& message) requires std::same_as<std::remove_cvref_t<decltype(message)>, Plan>
{
    field(message.piece_bytes);
    field(message.pieces);
    field(message.regions);
    field.zero(4);
    for (auto& region : message.region) {
        field(region.address);
        field(region.length);
        field(region.rkey);
        field.zero(4);
    }
}

template <class Visitor>
void walk(Visitor& field,
          auto& message) requires std::same_as<std::remove_cvref_t<decltype(message)>, Visible>
{
    field(message.piece);
    field(message.length);
}

template <class Visitor>
void walk(Visitor& field,
          auto& message) requires std::same_as<std::remove_cvref_t<decltype(message)>, Taken>
{
    field(message.piece);
}

template <class Visitor>
void walk(Visitor& field,
          auto& message) requires std::same_as<std::remove_cvref_t<decltype(message)>, Alive>
{
    field(message.bytes);
}

template <class Visitor>
void walk(Visitor& field,
          auto& message) requires std::same_as<std::remove_cvref_t<decltype(message)>, Finish> ||
    std::same_as<std::remove_cvref_t<decltype(message)>, Result>
{
    field(message.bytes);
    field(message.digest);
}

template <class Visitor>
void walk(Visitor& field,
          auto& message) requires std::same_as<std::remove_cvref_t<decltype(message)>, Failed>
{
    field(message.status);
    field(message.sentence);
}

void check(const Hello& hello)
{
    require(hello.transport >= Transport::srd && hello.transport <= Transport::l2,
            "it uses an unknown transport");
    require(hello.mtu >= 1 && hello.mtu <= 5, "an MTU is out of range");
    require(hello.qp_number <= max_24_bits && hello.packet_number <= max_24_bits,
            "a queue pair or packet number is out of range");
}

void check(const Offer& offer)
{
    require(offer.file_bytes <= std::numeric_limits<std::int64_t>::max(),
            "a file's size is out of range");
}

void check(const Plan& plan)
{
    require(plan.regions <= plan.region.size(), "it has too many regions");
    for (std::size_t i = 0; i < plan.regions; i++) {
        const auto& region = plan.region[i];
        require(region.length >= plan.piece_bytes &&
                    region.address + region.length >= region.address,
                "a region is out of range");
    }
}

void check(const auto&) {}

/// A default-constructed message of the type with that number.
Message blank(std::uint16_t type)
{
    static const Message all[] = {Hello{}, Offer{},  Plan{},   Visible{}, Taken{},
                                  Alive{}, Finish{}, Result{}, Failed{}};
    static_assert(std::size(all) == std::variant_size_v<Message>);
    if (type < 1 || type > std::size(all))
        refuse("a message has the unknown type " + std::to_string(type));
    return all[type - 1];
}

std::vector<std::byte> encode_body(const Message& message)
{
    std::vector<std::byte> body;
    Writer writer(body);
    std::visit([&](const auto& each) { walk(writer, each); }, message);
    return body;
}

} // namespace

std::vector<std::byte> encode(const Message& message, std::uint64_t token)
{
    const auto body = encode_body(message);
    std::vector<std::byte> bytes;
    Writer field(bytes);
    field(magic);
    field(version);
    field(static_cast<std::uint16_t>(message.index() + 1));
    field(static_cast<std::uint32_t>(body.size()));
    field.zero(4);
    field(token);
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
}

Header decode_header(std::span<const std::byte> bytes)
{
    Reader field(bytes);
    std::uint32_t its_magic = 0;
    std::uint16_t its_version = 0;
    field(its_magic);
    if (its_magic != magic)
        throw Failure(Exit::failed, "protocol", "the peer is no p2prdma command");
    field(its_version);
    if (its_version != version)
        throw Failure(Exit::failed, "protocol_version",
                      "the peer speaks version " + std::to_string(its_version) +
                          " of the protocol, this command version " + std::to_string(version));
    Header header;
    std::uint32_t size = 0;
    field(header.type);
    field(size);
    field.zero(4);
    field(header.token);
    require(size == encode_body(blank(header.type)).size(), "a message has a wrong length");
    header.body_size = size;
    return header;
}

Message decode(const Header& header, std::span<const std::byte> body)
{
    Message message = blank(header.type);
    Reader reader(body);
    std::visit(
        [&](auto& each) {
            walk(reader, each);
            check(each);
        },
        message);
    return message;
}

const char* name_of(const Message& message) noexcept
{
    static constexpr const char* names[] = {"Hello", "Offer",  "Plan",   "Visible", "Taken",
                                            "Alive", "Finish", "Result", "Failed"};
    return names[message.index()];
}

} // namespace p2prdma::tool::wire
