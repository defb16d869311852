// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/wire.hpp"

#include "lib/l2/big_endian.hpp"
#include "lib/l2/crc32c.hpp"
#include "lib/l2/wire_rules.hpp"

#include <concepts>
#include <cstring>

namespace p2prdma::l2::wire {
namespace {

constexpr std::size_t addresses_size = 12;
constexpr std::size_t ethernet_size = 14;
constexpr std::size_t tag_size = 4;
constexpr std::uint16_t tag_type = 0x8100;

/// What a frame may look like, by opcode; the extensions also by Flag::first and Flag::last.
struct Shape {
    std::uint8_t bad_flags = 0xff;
    bool known = false;
    std::uint16_t payload_mask = 0; ///< bits that payload_length may have
    std::uint32_t psn_bits = 0;     ///< bits that psn may have
    std::array<std::uint8_t, 4> required = {};
    std::array<std::uint8_t, 4> allowed = {};
};

constexpr Shape shape_of(const Rule& rule)
{
    Shape shape = {static_cast<std::uint8_t>(~rule.flags),
                   true,
                   static_cast<std::uint16_t>(rule.payload ? 0xffff : 0),
                   rule.psn ? psn_mask : 0,
                   {},
                   {}};
    for (unsigned place = 0; place < 4; place++) {
        const unsigned required = rule.required | (place & first ? rule.with_first : 0U);
        const unsigned optional = rule.optional | (place & last ? rule.with_last : 0U);
        shape.required[place] = static_cast<std::uint8_t>(required);
        shape.allowed[place] = static_cast<std::uint8_t>(required | optional);
    }
    return shape;
}

constexpr auto shapes = [] {
    std::array<Shape, 64> all = {};
    for (const auto& rule : rules)
        all[static_cast<std::size_t>(rule.opcode)] = shape_of(rule);
    return all;
}();

/// Bytes of the extensions in a mask of them.
constexpr auto sizes = [] {
    std::array<std::uint8_t, 128> all = {};
    for (std::size_t mask = 0; mask < all.size(); mask++)
        for (std::size_t bit = 0; bit < extension_sizes.size(); bit++)
            all[mask] += static_cast<std::uint8_t>(mask >> bit & 1 ? extension_sizes[bit] : 0);
    return all;
}();

/// Takes numbers out of extensions whose length was checked.
class Reader {
public:
    explicit Reader(const std::byte* at) noexcept : at_(at) {}
    template <class T>
    T take() noexcept
    {
        const T value = load_big<T>(at_);
        at_ += sizeof(T);
        return value;
    }
    void take(std::span<std::uint8_t> to) noexcept
    {
        std::memcpy(to.data(), at_, to.size());
        at_ += to.size();
    }
    /// 24 bits and 8 bits.
    template <class Low>
    std::uint32_t take24(Low& low) noexcept
    {
        const auto word = take<std::uint32_t>();
        low = static_cast<Low>(word & 0xff);
        return word >> 8;
    }

private:
    const std::byte* at_;
};

class Writer {
public:
    explicit Writer(std::byte* at) noexcept : at_(at) {}
    template <std::unsigned_integral T>
    void put(T value) noexcept
    {
        store_big<T>(at_, value);
        at_ += sizeof(T);
    }
    void put(std::span<const std::uint8_t> from) noexcept
    {
        std::memcpy(at_, from.data(), from.size());
        at_ += from.size();
    }
    void put24(std::uint32_t high, std::uint8_t low) noexcept
    {
        put<std::uint32_t>(high << 8 | low);
    }
    [[nodiscard]] std::byte* at() const noexcept { return at_; }

private:
    std::byte* at_;
};

Header read_header(const std::byte* at) noexcept
{
    Reader reader(at);
    Header header;
    const auto kind = reader.take<std::uint32_t>();
    header.version = static_cast<std::uint8_t>(kind >> 28);
    header.traffic_class = kind >> 24 & 0xf;
    header.opcode = static_cast<Opcode>(kind >> 16 & 0xff);
    header.flags = kind >> 8 & 0xff;
    header.credits = kind & 0xff;
    header.dst_qp = reader.take24(header.epoch);
    header.psn = reader.take24(header.extensions);
    header.payload_length = reader.take<std::uint16_t>();
    header.src_tag = reader.take<std::uint16_t>();
    return header;
}

void write_header(Writer& writer, const Header& header) noexcept
{
    writer.put<std::uint32_t>(static_cast<std::uint32_t>(header.version) << 28 |
                              (header.traffic_class & 0xfU) << 24 |
                              static_cast<std::uint32_t>(header.opcode) << 16 |
                              static_cast<std::uint32_t>(header.flags) << 8 | header.credits);
    writer.put24(header.dst_qp, header.epoch);
    writer.put24(header.psn, header.extensions);
    writer.put(header.payload_length);
    writer.put(header.src_tag);
}

// One read() and one write() for each extension. read() is false for a value that has no meaning.

bool read(Reader& reader, const Header&, Remote& remote) noexcept
{
    remote.address = reader.take<std::uint64_t>();
    remote.key = reader.take<std::uint32_t>();
    remote.length = reader.take<std::uint32_t>();
    return true;
}

bool read(Reader& reader, const Header&, Atomic& atomic) noexcept
{
    atomic.operand = reader.take<std::uint64_t>();
    atomic.compare = reader.take<std::uint64_t>();
    return true;
}

bool read(Reader& reader, const Header&, std::uint32_t& immediate) noexcept
{
    immediate = reader.take<std::uint32_t>();
    return true;
}

bool read(Reader& reader, const Header& header, Ack& ack) noexcept
{
    std::uint8_t reserved = 0;
    ack.next = reader.take24(ack.syndrome);
    ack.messages = reader.take24(reserved);
    const bool refused = ack.syndrome != Syndrome::none;
    return refused == (header.opcode == Opcode::nak) && ack.syndrome <= Syndrome::no_link &&
           reserved == 0;
}

bool read(Reader& reader, const Header&, Sack& sack) noexcept
{
    sack.reset();
    for (unsigned i = 0; i < sack_bits; i += 64) {
        const auto word = byte_swapped(reader.take<std::uint64_t>());
        sack |= Sack(word) << i;
    }
    return true;
}

bool read(Reader& reader, const Header&, Fault& fault) noexcept
{
    const auto word = reader.take<std::uint32_t>();
    fault.kind = static_cast<FaultKind>(word >> 24);
    fault.epoch = word >> 16 & 0xff;
    fault.psn = reader.take<std::uint32_t>();
    fault.estimate = reader.take<std::uint32_t>();
    fault.buffered = reader.take<std::uint32_t>();
    fault.window = reader.take<std::uint32_t>();
    return fault.kind >= FaultKind::delay && fault.kind <= FaultKind::stall &&
           (word & 0xffff) == 0 && fault.psn <= psn_mask;
}

bool read(Reader& reader, const Header&, Connect& connect) noexcept
{
    connect.qp = reader.take24(connect.epoch);
    connect.tag = reader.take<std::uint16_t>();
    connect.payload_limit = reader.take<std::uint16_t>();
    connect.psn = reader.take24(connect.max_reads);
    connect.service = reader.take<std::uint32_t>();
    connect.features = reader.take<std::uint32_t>();
    connect.reason = reader.take<std::uint32_t>();
    std::uint64_t reserved = reader.take<std::uint32_t>();
    reader.take(connect.nonce);
    reserved |= reader.take<std::uint64_t>();
    reserved |= reader.take<std::uint64_t>();
    reserved |= reader.take<std::uint32_t>();
    return reserved == 0;
}

void write(Writer& writer, const Remote& remote) noexcept
{
    writer.put(remote.address);
    writer.put(remote.key);
    writer.put(remote.length);
}

void write(Writer& writer, const Atomic& atomic) noexcept
{
    writer.put(atomic.operand);
    writer.put(atomic.compare);
}

void write(Writer& writer, std::uint32_t immediate) noexcept
{
    writer.put(immediate);
}

void write(Writer& writer, const Ack& ack) noexcept
{
    writer.put24(ack.next, static_cast<std::uint8_t>(ack.syndrome));
    writer.put24(ack.messages, 0);
}

void write(Writer& writer, const Sack& sack) noexcept
{
    const Sack low(~std::uint64_t{0});
    for (unsigned i = 0; i < sack_bits; i += 64)
        writer.put<std::uint64_t>(byte_swapped(std::uint64_t{((sack >> i) & low).to_ullong()}));
}

void write(Writer& writer, const Fault& fault) noexcept
{
    writer.put<std::uint32_t>(static_cast<std::uint32_t>(fault.kind) << 24 |
                              static_cast<std::uint32_t>(fault.epoch) << 16);
    writer.put<std::uint32_t>(fault.psn & psn_mask);
    writer.put(fault.estimate);
    writer.put(fault.buffered);
    writer.put(fault.window);
}

void write(Writer& writer, const Connect& connect) noexcept
{
    writer.put24(connect.qp, connect.epoch);
    writer.put(connect.tag);
    writer.put(connect.payload_limit);
    writer.put24(connect.psn, connect.max_reads);
    writer.put(connect.service);
    writer.put(connect.features);
    writer.put(connect.reason);
    writer.put<std::uint32_t>(0);
    writer.put(connect.nonce);
    writer.put<std::uint64_t>(0);
    writer.put<std::uint64_t>(0);
    writer.put<std::uint32_t>(0);
}

template <class T>
bool read_if(Extension extension, Reader& reader, const Header& header,
             std::optional<T>& to) noexcept
{
    if (!(header.extensions & extension)) {
        to.reset();
        return true;
    }
    return read(reader, header, to.emplace());
}

bool read_extensions(const std::byte* at, Frame& frame) noexcept
{
    Reader reader(at);
    const auto& header = frame.header;
    return read_if(ext_remote, reader, header, frame.remote) &&
           read_if(ext_atomic, reader, header, frame.atomic) &&
           read_if(ext_immediate, reader, header, frame.immediate) &&
           read_if(ext_ack, reader, header, frame.ack) &&
           read_if(ext_sack, reader, header, frame.sack) &&
           read_if(ext_fault, reader, header, frame.fault) &&
           read_if(ext_connect, reader, header, frame.connect);
}

template <class T>
void write_if(Writer& writer, const std::optional<T>& from) noexcept
{
    if (from)
        write(writer, *from);
}

template <class T>
unsigned bit_if(Extension extension, const std::optional<T>& value) noexcept
{
    return value ? extension : 0;
}

std::uint8_t extensions_of(const Frame& frame) noexcept
{
    return static_cast<std::uint8_t>(
        bit_if(ext_remote, frame.remote) | bit_if(ext_atomic, frame.atomic) |
        bit_if(ext_immediate, frame.immediate) | bit_if(ext_ack, frame.ack) |
        bit_if(ext_sack, frame.sack) | bit_if(ext_fault, frame.fault) |
        bit_if(ext_connect, frame.connect));
}

Verdict check_shape(const Header& header) noexcept
{
    const auto opcode = static_cast<std::size_t>(header.opcode);
    if (opcode >= shapes.size() || !shapes[opcode].known)
        return Verdict::bad_opcode;
    const auto& shape = shapes[opcode];
    const auto place = header.flags & (first | last);
    if ((header.extensions & ~shape.allowed[place]) || (shape.required[place] & ~header.extensions))
        return Verdict::bad_extensions;
    if ((header.flags & shape.bad_flags) || (header.psn & ~shape.psn_bits))
        return Verdict::bad_field;
    return header.payload_length & ~shape.payload_mask ? Verdict::bad_length : Verdict::good;
}

/// Finds the payload and the seal, and checks the CRC; `bytes` begins with the header.
Verdict check_body(std::span<const std::byte> bytes, Frame& frame) noexcept
{
    const auto& header = frame.header;
    if (header.version != version)
        return Verdict::wrong_version;
    if (header.extensions >= sizes.size())
        return Verdict::bad_extensions;
    const std::size_t before = header_size + sizes[header.extensions];
    const std::size_t unsealed = before + header.payload_length;
    const std::size_t covered = unsealed + (header.flags & sealed ? seal_size : 0);
    if (covered + crc_size > bytes.size())
        return Verdict::bad_length;
    if (crc32c(0, bytes.first(covered)) != load_big<std::uint32_t>(&bytes[covered]))
        return Verdict::bad_crc;
    frame.payload = bytes.subspan(before, header.payload_length);
    frame.seal = bytes.subspan(unsealed, covered - unsealed);
    frame.sealed_part = bytes.first(frame.seal.empty() ? 0 : unsealed);
    return Verdict::good;
}

/// Reads what precedes the header; its size, or 0 for a frame that is not for us.
std::size_t read_ethernet(const std::byte* at, std::uint16_t ether_type, Frame& frame) noexcept
{
    std::memcpy(frame.destination.bytes.data(), at, frame.destination.bytes.size());
    std::memcpy(frame.source.bytes.data(), at + 6, frame.source.bytes.size());
    frame.vlan.reset();
    if (load_big<std::uint16_t>(at + addresses_size) == ether_type)
        return ethernet_size;
    if (load_big<std::uint16_t>(at + addresses_size) != tag_type ||
        load_big<std::uint16_t>(at + ethernet_size + 2) != ether_type)
        return 0;
    frame.vlan = load_big<std::uint16_t>(at + ethernet_size);
    return ethernet_size + tag_size;
}

} // namespace

std::uint32_t peek_dst_qp(std::span<const std::byte> bytes) noexcept
{
    constexpr std::size_t offset = 4; // in the header
    if (bytes.size() < ethernet_size + tag_size + offset + sizeof(std::uint32_t))
        return 0;
    const bool tagged = load_big<std::uint16_t>(&bytes[addresses_size]) == tag_type;
    const auto at = ethernet_size + (tagged ? tag_size : 0) + offset;
    return load_big<std::uint32_t>(&bytes[at]) >> 8;
}

Verdict parse(std::span<const std::byte> bytes, std::uint16_t ether_type, Frame& frame) noexcept
{
    if (bytes.size() < ethernet_size + header_size + crc_size)
        return Verdict::too_short;
    const auto start = read_ethernet(bytes.data(), ether_type, frame);
    if (start == 0)
        return Verdict::wrong_type;
    if (bytes.size() < start + header_size + crc_size)
        return Verdict::too_short;
    const auto body = bytes.subspan(start);
    frame.header = read_header(body.data());
    auto verdict = check_body(body, frame);
    if (verdict == Verdict::good)
        verdict = check_shape(frame.header);
    if (verdict != Verdict::good)
        return verdict;
    return read_extensions(&body[header_size], frame) ? Verdict::good : Verdict::bad_field;
}

std::size_t compose(const Frame& frame, std::size_t payload_length, std::uint16_t ether_type,
                    std::span<std::byte, max_prefix> out) noexcept
{
    Writer writer(out.data());
    writer.put(frame.destination.bytes);
    writer.put(frame.source.bytes);
    if (frame.vlan) {
        writer.put(tag_type);
        writer.put(*frame.vlan);
    }
    writer.put(ether_type);
    auto header = frame.header;
    header.extensions = extensions_of(frame);
    header.payload_length = static_cast<std::uint16_t>(payload_length);
    write_header(writer, header);
    write_if(writer, frame.remote);
    write_if(writer, frame.atomic);
    write_if(writer, frame.immediate);
    write_if(writer, frame.ack);
    write_if(writer, frame.sack);
    write_if(writer, frame.fault);
    write_if(writer, frame.connect);
    return static_cast<std::size_t>(writer.at() - out.data());
}

} // namespace p2prdma::l2::wire
