// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/refcard.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

namespace lab {

namespace {

// The names are those of Documentation/refcard.rst.
enum Register : std::uint64_t {
    MAGIC = 0x00,
    VERSION = 0x04,
    CAPS = 0x08,
    STATUS = 0x0c,
    SERIAL_LO = 0x10,
    SERIAL_HI = 0x14,
    MEM_SIZE_LO = 0x18,
    MEM_SIZE_HI = 0x1c,
    DB_OFFSET = 0x20,
    DB_COUNT = 0x24,
    SCRATCH = 0x28,
    DB_PENDING = 0x2c,
    DB_MASK = 0x30,
};
enum DoorbellRegister : std::uint64_t { COUNT = 0xff0, LAST_LO = 0xff8, LAST_HI = 0xffc };

constexpr std::uint32_t magic = 0x43523250;
constexpr std::uint32_t version = 1 << 16 | 0;
constexpr std::uint32_t caps_memory = 1 << 0;
constexpr std::uint32_t caps_doorbells = 1 << 1;
constexpr std::uint32_t status_ready = 1 << 0;
constexpr std::uint32_t status_fault = 1 << 1;

constexpr std::uint64_t register_bar_size = 0x10000;
constexpr std::uint64_t page_size = 0x1000;
constexpr unsigned doorbell_vectors = RefCard::vectors - 1; // vector 0 is the card's own

static_assert(RefCard::doorbell_pages <= 32, "DB_PENDING has a bit for each page");
static_assert(RefCard::doorbell_offset + RefCard::doorbell_pages * page_size <= register_bar_size);

constexpr PciIdentity identity{
    .vendor = 0x1b36,
    .device = 0x1100,
    .class_code = 0x120000,
    .revision = 1,
    .msix_vectors = RefCard::vectors,
    .msix_bar = RefCard::msix_bar,
    .msix_table_offset = 0,
    .msix_pba_offset = 0x1000,
};

std::uint32_t low(std::uint64_t value)
{
    return static_cast<std::uint32_t>(value);
}

std::uint32_t high(std::uint64_t value)
{
    return static_cast<std::uint32_t>(value >> 32);
}

bool is_doorbell(std::uint64_t offset)
{
    return offset >= RefCard::doorbell_offset &&
           offset - RefCard::doorbell_offset < RefCard::doorbell_pages * page_size;
}

std::uint64_t checked_memory(std::uint64_t size)
{
    if (!std::has_single_bit(size) || size < page_size || size > RefCard::max_memory)
        throw std::invalid_argument("a card's memory is a power of two of at least 4096 bytes and "
                                    "at most 64 GiB, not " +
                                    std::to_string(size));
    return size;
}

std::uint64_t parse_offset(const std::string& text)
{
    bool hex = text.starts_with("0x");
    const char* end = text.data() + text.size();
    std::uint64_t offset = 0;
    auto [stop, error] = std::from_chars(text.data() + (hex ? 2 : 0), end, offset, hex ? 16 : 10);
    if (error != std::errc{} || stop != end || offset % 4 != 0 || offset >= register_bar_size)
        throw std::invalid_argument("a reference card has no register \"" + text + "\"");
    return offset;
}

std::map<std::uint64_t, std::uint32_t> parse_lies(const nlohmann::json& json)
{
    std::map<std::uint64_t, std::uint32_t> lies;
    for (const auto& [offset, value] : json.items()) {
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() > ~0U)
            throw std::invalid_argument("register " + offset + " cannot read " + value.dump() +
                                        ": it has 32 bits");
        lies[parse_offset(offset)] = value.get<std::uint32_t>();
    }
    return lies;
}

} // namespace

RefCard::RefCard(EventLoop& loop, std::string name, std::uint64_t memory, std::uint64_t serial)
    : PciDevice(loop, std::move(name), identity), memory_(checked_memory(memory)), serial_(serial)
{
    add_trapped_bar(register_bar, register_bar_size);
    add_memory_bar(memory_bar, memory_, true);
    add_trapped_bar(msix_bar, 2 * page_size);
}

void RefCard::bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into)
{
    // A narrow or a 64-bit read gives the bytes of the registers that it covers.
    for (std::size_t i = 0; i < into.size(); ++i) {
        std::uint64_t at = offset + i;
        std::uint32_t value = bar == register_bar ? read_register(at & ~3ULL) : 0;
        into[i] = static_cast<std::byte>(value >> 8 * (at & 3));
    }
}

std::uint32_t RefCard::read_register(std::uint64_t offset) const
{
    if (auto lie = lies_.find(offset); lie != lies_.end())
        return lie->second;
    switch (offset) {
    case MAGIC:
        return magic;
    case VERSION:
        return version;
    case CAPS:
        return caps_memory | caps_doorbells;
    case STATUS:
        return status();
    case SERIAL_LO:
        return low(serial_);
    case SERIAL_HI:
        return high(serial_);
    case MEM_SIZE_LO:
        return low(memory_);
    case MEM_SIZE_HI:
        return high(memory_);
    case DB_OFFSET:
        return doorbell_offset;
    case DB_COUNT:
        return doorbell_pages;
    case SCRATCH:
        return scratch_;
    case DB_PENDING:
        return pending_;
    case DB_MASK:
        return mask_;
    default:
        return is_doorbell(offset) ? read_doorbell(offset - doorbell_offset) : 0;
    }
}

std::uint32_t RefCard::read_doorbell(std::uint64_t offset) const
{
    const Doorbell& doorbell = doorbells_[offset / page_size];
    switch (offset % page_size) {
    case COUNT:
        return doorbell.count;
    case LAST_LO:
        return low(doorbell.last);
    case LAST_HI:
        return high(doorbell.last);
    default:
        return 0;
    }
}

std::uint32_t RefCard::status() const
{
    return (ready_ ? status_ready : 0) | (fault_ ? status_fault : 0);
}

void RefCard::bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data)
{
    if (bar != register_bar)
        return;
    if (is_doorbell(offset)) {
        std::uint64_t at = offset - doorbell_offset;
        if (at % page_size < COUNT)
            ring(static_cast<unsigned>(at / page_size), data);
        return;
    }
    for (; data.size() >= 4 && offset % 4 == 0; data = data.subspan(4), offset += 4) {
        std::uint32_t value = 0;
        std::memcpy(&value, data.data(), sizeof(value));
        write_register(offset, value);
    }
}

void RefCard::write_register(std::uint64_t offset, std::uint32_t value)
{
    std::uint32_t unmasked = 0;
    switch (offset) {
    case SCRATCH:
        scratch_ = value;
        break;
    case DB_PENDING:
        pending_ &= ~value;
        break;
    case DB_MASK:
        unmasked = mask_ & ~value & pending_;
        mask_ = value;
        break;
    default:
        break;
    }
    for (unsigned page = 0; page < doorbell_pages; ++page) {
        if (unmasked >> page & 1)
            notify(page);
    }
}

void RefCard::ring(unsigned page, std::span<const std::byte> data)
{
    Doorbell& doorbell = doorbells_[page];
    doorbell.last = 0;
    std::memcpy(&doorbell.last, data.data(), std::min(data.size(), sizeof(doorbell.last)));
    ++doorbell.count;
    pending_ |= 1U << page;
    if (!(mask_ >> page & 1))
        notify(page);
}

void RefCard::notify(unsigned page)
{
    raise(1 + page % doorbell_vectors);
}

void RefCard::reset()
{
    fault_ = false;
    scratch_ = 0;
    pending_ = 0;
    mask_ = ~0U;
    doorbells_ = {};
}

nlohmann::json RefCard::describe() const
{
    nlohmann::json counts = nlohmann::json::array();
    for (const auto& doorbell : doorbells_)
        counts.push_back(doorbell.count);
    return {{"memory", memory_},   {"serial", serial_},   {"status", status()},
            {"doorbells", counts}, {"pending", pending_}, {"mask", mask_}};
}

nlohmann::json RefCard::control(const nlohmann::json& request)
{
    for (const auto& [key, value] : request.items()) {
        if (key == "lies" && value.is_object()) {
            lies_ = parse_lies(value);
            continue;
        }
        if (!value.is_boolean() || (key != "fault" && key != "ready"))
            throw std::invalid_argument("a reference card takes \"fault\" and \"ready\", true or "
                                        "false, and \"lies\", an object; not \"" +
                                        key + "\": " + value.dump());
        (key == "fault" ? fault_ : ready_) = value.get<bool>();
    }
    return {{"status", status()}};
}

} // namespace lab
