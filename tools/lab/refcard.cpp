// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/refcard.hpp"

#include "tools/lab/event_loop.hpp"
#include "tools/lab/refcard_aperture.hpp"

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
    CTRL_OFFSET_LO = 0x40,
    CTRL_EPOCH = 0x4c,
    WIN_CAPS = 0x1000,
    WIN_OUTSTANDING = 0x1004,
    WIN_ERROR = 0x1008,
    CARD_PENDING = 0x100c,
    CARD_MASK = 0x1010,
    LAB_OFFSET_LO = 0x7f00,
    LAB_LENGTH_HI = 0x7f0c,
    LAB_COMMAND = 0x7f10,
};
enum LabCommand : std::uint32_t { given_out = 1, taken_back = 2 };
constexpr std::uint64_t wake_offset = 0x800; // from here on, a doorbell page keeps no value
enum DoorbellRegister : std::uint64_t { COUNT = 0xff0, LAST_LO = 0xff8, LAST_HI = 0xffc };

constexpr std::uint32_t magic = 0x43523250;
constexpr std::uint32_t version = 1 << 16 | 2;
constexpr std::uint32_t caps_memory = 1 << 0;
constexpr std::uint32_t caps_doorbells = 1 << 1;
constexpr std::uint32_t caps_windows = 1 << 2;
constexpr std::uint32_t caps_control = 1 << 3;
constexpr std::uint32_t caps_lab = 1U << 31;
constexpr std::uint32_t status_ready = 1 << 0;
constexpr std::uint32_t status_fault = 1 << 1;

constexpr std::uint64_t page_size = 0x1000;
constexpr std::uint64_t window_registers = 0x2000; // window 0's
constexpr unsigned card_vector = 0;
constexpr unsigned doorbell_vectors = RefCard::vectors - 1; // vector 0 is the card's own

static_assert(RefCard::doorbell_pages <= 32, "DB_PENDING has a bit for each page");
static_assert(RefCard::doorbell_offset + RefCard::doorbell_pages * page_size <=
              RefCard::register_bar_size);

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

std::uint64_t join(std::uint32_t high_part, std::uint32_t low_part)
{
    return std::uint64_t{high_part} << 32 | low_part;
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
    if (error != std::errc{} || stop != end || offset % 4 != 0 ||
        offset >= RefCard::register_bar_size)
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

bool RefCard::is_doorbell(std::uint64_t offset)
{
    return offset >= doorbell_offset && offset - doorbell_offset < doorbell_pages * page_size;
}

unsigned RefCard::doorbell_vector(unsigned page)
{
    return 1 + page % doorbell_vectors;
}

void RefCard::bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into)
{
    // A narrow or a 64-bit read gives the bytes of the registers that it covers.
    for (std::size_t i = 0; i < into.size(); ++i) {
        std::uint64_t at = offset + i;
        std::uint32_t value = bar == register_bar ? host_read(at & ~3ULL) : 0;
        into[i] = static_cast<std::byte>(value >> 8 * (at & 3));
    }
}

/// What the host is told of a closed window, it acts upon.
std::uint32_t RefCard::host_read(std::uint64_t offset)
{
    std::uint32_t value = read_register(offset);
    if (value == 0 && offset == WIN_OUTSTANDING)
        windows_.all_told_idle();
    else if (value == 0 && offset >= window_registers && offset < LAB_OFFSET_LO)
        windows_.told_idle(offset - window_registers);
    return value;
}

std::uint32_t RefCard::read_register(std::uint64_t offset) const
{
    if (auto lie = lies_.find(offset); lie != lies_.end())
        return lie->second;
    switch (offset) {
    case MAGIC:
        return magic;
    case CAPS:
        return caps_memory | caps_doorbells | caps_windows | caps_control | caps_lab;
    case SCRATCH:
        return scratch_;
    case DB_PENDING:
        return host_.pending();
    case DB_MASK:
        return host_.mask();
    default:
        return offset >= WIN_CAPS && offset < doorbell_offset ? read_windows(offset)
                                                              : read_common(offset);
    }
}

std::uint32_t RefCard::read_windows(std::uint64_t offset) const
{
    switch (offset) {
    case WIN_CAPS:
        return RefCardWindows::capabilities();
    case WIN_OUTSTANDING:
        return windows_.outstanding();
    case WIN_ERROR:
        return windows_.error_map();
    case CARD_PENDING:
        return card_.pending();
    case CARD_MASK:
        return card_.mask();
    default:
        if (offset >= LAB_OFFSET_LO)
            return offset <= LAB_LENGTH_HI ? lab_range_[(offset - LAB_OFFSET_LO) / 4] : 0;
        return offset >= window_registers ? windows_.read(offset - window_registers) : 0;
    }
}

std::uint32_t RefCard::read_common(std::uint64_t offset) const
{
    switch (offset) {
    case VERSION:
        return version;
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
    default:
        if (offset >= CTRL_OFFSET_LO && offset <= CTRL_EPOCH)
            return control_area_[(offset - CTRL_OFFSET_LO) / 4];
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
            ring(static_cast<unsigned>(at / page_size), data, at % page_size < wake_offset);
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
    switch (offset) {
    case SCRATCH:
        scratch_ = value;
        break;
    case DB_PENDING:
        host_.clear(value);
        break;
    case DB_MASK:
        notify(host_.set_mask(value));
        break;
    case CARD_PENDING:
        card_.clear(value);
        break;
    case CARD_MASK:
        if (card_.set_mask(value) != 0)
            raise(card_vector);
        break;
    default:
        if (offset >= CTRL_OFFSET_LO && offset <= CTRL_EPOCH)
            control_area_[(offset - CTRL_OFFSET_LO) / 4] = value;
        if (offset >= LAB_OFFSET_LO)
            write_lab(offset, value);
        if (offset < window_registers || offset >= LAB_OFFSET_LO)
            break;
        if (aperture_)
            aperture_->flush(); // what was accepted before goes where it was meant to go
        if (!windows_.write(offset - window_registers, value))
            violations().add("a window was opened while accesses through it were under way",
                             "register " + std::to_string(offset));
        break;
    }
}

void RefCard::peer_access(const PciDevice& by, unsigned bar, std::uint64_t offset,
                          std::uint64_t length, bool is_write)
{
    if (bar == memory_bar && !given_.covers(offset, length))
        violations().add(by.name() + (is_write ? " wrote to" : " read") +
                             " card memory that was not given out, or was taken back",
                         std::to_string(length) + " bytes at " + std::to_string(offset));
}

void RefCard::write_lab(std::uint64_t offset, std::uint32_t value)
{
    if (offset <= LAB_LENGTH_HI)
        lab_range_[(offset - LAB_OFFSET_LO) / 4] = value;
    if (offset != LAB_COMMAND)
        return;
    auto [offset_lo, offset_hi, length_lo, length_hi] = lab_range_;
    std::uint64_t from = join(offset_hi, offset_lo);
    std::uint64_t length = join(length_hi, length_lo);
    if (value == given_out)
        given_.give(from, length);
    else if (value == taken_back)
        given_.take_back(from, length);
}

void RefCard::ring(unsigned page, std::span<const std::byte> data, bool keep)
{
    Doorbell& doorbell = doorbells_[page];
    if (keep) {
        doorbell.last = 0;
        std::memcpy(&doorbell.last, data.data(), std::min(data.size(), sizeof(doorbell.last)));
    }
    ++doorbell.count;
    notify(host_.ring(1U << page));
    if (aperture_)
        aperture_->rung(page);
}

void RefCard::notify(std::uint32_t pages)
{
    for (unsigned page = 0; page < doorbell_pages; ++page) {
        if (pages >> page & 1)
            raise(doorbell_vector(page));
    }
}

void RefCard::attach(RefCardAperture* aperture)
{
    if (aperture && aperture_)
        throw std::invalid_argument("the card \"" + name() + "\" has an aperture already");
    aperture_ = aperture;
}

RefCardWindows::Pass RefCard::begin(unsigned window)
{
    ++begun_;
    if (aperture_ && begun_ - ended_ == max_forwarded)
        aperture_->pause_input(true);
    return windows_.begin(window);
}

void RefCard::end(const RefCardWindows::Pass& pass, const DmaResult& result)
{
    if (!windows_.end(pass, result.error == 0))
        violations().add("an access landed through a window that the host knew to be closed",
                         "window " + std::to_string(pass.window));
    ++ended_;
    bells_due();
    if (aperture_ && begun_ - ended_ == few_forwarded)
        aperture_->pause_input(false);
}

void RefCard::forward_write(unsigned window, std::uint64_t address, std::span<const std::byte> data)
{
    auto pass = begin(window);
    ++forwarded_writes_;
    dma().write(address, data, [this, pass](const DmaResult& result) { end(pass, result); });
}

void RefCard::forward_read(unsigned window, std::uint64_t address, std::size_t length,
                           ReadReply reply)
{
    struct Read {
        std::vector<std::byte> data;
        ReadReply reply;
        EventLoop::TimerId timer = 0;
    };
    auto read = std::make_shared<Read>();
    read->data.resize(length);
    read->reply = std::move(reply);
    auto give_up = [read, length] {
        if (auto answer = std::exchange(read->reply, {}))
            answer(std::vector<std::byte>(length, std::byte{0xff}));
    };
    auto pass = begin(window);
    ++forwarded_reads_;
    dma().read(address, read->data, [this, pass, read, give_up](const DmaResult& result) {
        end(pass, result);
        loop().cancel(read->timer);
        if (result.error != 0)
            give_up();
        else if (auto answer = std::exchange(read->reply, {}))
            answer(read->data);
    });
    if (read->reply) {
        read->timer = loop().after(read_timeout, [this, window, give_up] {
            windows_.fail(window, RefCardWindows::refused);
            give_up();
        });
    }
}

void RefCard::ring_host(std::uint32_t bells)
{
    if (!bells_.empty() && bells_.back().after == begun_)
        bells_.back().bells |= bells;
    else
        bells_.push_back({begun_, bells});
    bells_due();
}

void RefCard::bells_due()
{
    while (!bells_.empty() && bells_.front().after <= ended_) {
        std::uint32_t bells = bells_.front().bells;
        bells_.pop_front();
        if (card_.ring(bells) != 0)
            raise(card_vector);
    }
}

void RefCard::reset()
{
    fault_ = false;
    scratch_ = 0;
    control_area_ = {};
    host_ = {};
    card_ = {};
    doorbells_ = {};
    windows_.reset();
}

nlohmann::json RefCard::describe() const
{
    nlohmann::json counts = nlohmann::json::array();
    for (const auto& doorbell : doorbells_)
        counts.push_back(doorbell.count);
    return {{"memory", memory_},
            {"serial", serial_},
            {"status", status()},
            {"doorbells", counts},
            {"pending", host_.pending()},
            {"mask", host_.mask()},
            {"card_pending", card_.pending()},
            {"card_mask", card_.mask()},
            {"windows", windows_.describe()},
            {"forwarded_writes", forwarded_writes_},
            {"forwarded_reads", forwarded_reads_}};
}

void RefCard::reset_counters()
{
    forwarded_writes_ = 0;
    forwarded_reads_ = 0;
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
