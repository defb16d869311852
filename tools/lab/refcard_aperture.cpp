// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/refcard_aperture.hpp"

#include "tools/lab/event_loop.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace lab {

namespace {

// The names are those of Documentation/refcard.rst.
enum Register : std::uint64_t {
    MAGIC = 0x00,
    CAPS = 0x08,
    SCRATCH = 0x28,
    DB_PENDING = 0x2c,
    DB_MASK = 0x30,
    HOST_RING = 0x34,
    WIN_CAPS = 0x1000,
};

constexpr std::uint32_t pool_magic = 0x50523250;     // "P2RP"
constexpr std::uint32_t aperture_magic = 0x57523250; // "P2RW"
constexpr std::uint32_t caps_memory = 1 << 0;
constexpr std::uint32_t caps_doorbells = 1 << 1;
constexpr std::uint32_t caps_windows = 1 << 2;
constexpr std::uint32_t caps_control = 1 << 3;
constexpr std::uint64_t pool_registers = 0x1000;
constexpr std::uint64_t window_registers = 0x2000;
constexpr std::uint64_t line_size = 64;

constexpr PciIdentity pool_identity{
    .vendor = 0x1b36, .device = 0x1101, .class_code = 0x058000, .revision = 1};

constexpr PciIdentity aperture_identity{
    .vendor = 0x1b36,
    .device = 0x1102,
    .class_code = 0x068000,
    .revision = 1,
    .msix_vectors = RefCard::vectors,
    .msix_bar = RefCardAperture::msix_bar,
    .msix_table_offset = 0,
    .msix_pba_offset = 0x1000,
};

/// The bytes of the 32-bit registers that a read covers.
template <typename Read>
void read_bytes(std::uint64_t offset, std::span<std::byte> into, Read read_register)
{
    for (std::size_t i = 0; i < into.size(); ++i) {
        std::uint64_t at = offset + i;
        into[i] = static_cast<std::byte>(read_register(at & ~3ULL) >> 8 * (at & 3));
    }
}

} // namespace

RefCardPool::RefCardPool(EventLoop& loop, std::string name, const RefCard& card)
    : PciDevice(loop, std::move(name), pool_identity), card_(card)
{
    add_trapped_bar(register_bar, pool_registers);
    share_memory_bar(memory_bar, card.bars()[RefCard::memory_bar]);
}

void RefCardPool::bar_read(unsigned, std::uint64_t offset, std::span<std::byte> into)
{
    read_bytes(offset, into, [this](std::uint64_t at) { return read_register(at); });
}

std::uint32_t RefCardPool::read_register(std::uint64_t offset) const
{
    constexpr std::uint64_t doorbells = 0x20; // which this function does not have
    if (offset == MAGIC)
        return pool_magic;
    if (offset == CAPS)
        return caps_memory | caps_control;
    return offset != doorbells && offset != doorbells + 4 ? card_.read_common(offset) : 0;
}

RefCardAperture::RefCardAperture(EventLoop& loop, std::string name, RefCard& card)
    : PciDevice(loop, std::move(name), aperture_identity), card_(card)
{
    add_trapped_bar(register_bar, RefCard::register_bar_size);
    add_trapped_bar(aperture_bar, aperture_size, true);
    add_trapped_bar(msix_bar, 0x2000);
    card_.attach(this);
}

RefCardAperture::~RefCardAperture()
{
    card_.attach(nullptr);
}

void RefCardAperture::bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into)
{
    if (bar == aperture_bar) { // by a peer, who cannot wait here
        std::fill(into.begin(), into.end(), std::byte{0xff});
        return;
    }
    flush();
    read_bytes(offset, into, [this, bar](std::uint64_t at) {
        return bar == register_bar ? read_register(at) : 0;
    });
}

bool RefCardAperture::bar_read_later(unsigned bar, std::uint64_t offset, std::size_t length,
                                     const ReadReply& reply)
{
    if (bar != aperture_bar)
        return false;
    load(offset, length, reply);
    return true;
}

std::uint32_t RefCardAperture::read_register(std::uint64_t offset) const
{
    switch (offset) {
    case MAGIC:
        return aperture_magic;
    case CAPS:
        return caps_doorbells | caps_windows | caps_control;
    case SCRATCH:
        return scratch_;
    case DB_PENDING:
        return doorbells_.pending();
    case DB_MASK:
        return doorbells_.mask();
    case WIN_CAPS:
        return RefCardWindows::capabilities();
    default:
        if (offset >= window_registers && offset < RefCard::doorbell_offset)
            return card_.windows().card_read(offset - window_registers);
        return card_.read_common(offset);
    }
}

void RefCardAperture::bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data)
{
    if (bar == aperture_bar) {
        store(offset, data);
        return;
    }
    flush();
    if (bar != register_bar)
        return;
    for (; data.size() >= 4 && offset % 4 == 0; data = data.subspan(4), offset += 4) {
        std::uint32_t value = 0;
        std::memcpy(&value, data.data(), sizeof(value));
        write_register(offset, value);
    }
}

void RefCardAperture::write_register(std::uint64_t offset, std::uint32_t value)
{
    switch (offset) {
    case SCRATCH:
        scratch_ = value;
        break;
    case DB_PENDING:
        doorbells_.clear(value);
        break;
    case DB_MASK:
        notify(doorbells_.set_mask(value));
        break;
    case HOST_RING:
        card_.ring_host(value);
        break;
    default:
        if (offset >= window_registers && offset < RefCard::doorbell_offset)
            card_.windows().card_write(offset - window_registers, value);
        break;
    }
}

/// `data` is a piece of at most 8 aligned bytes, so that it lies in one slot; the window's target
/// need not be aligned.
void RefCardAperture::store(std::uint64_t offset, std::span<const std::byte> data)
{
    ++stores_;
    auto window = static_cast<unsigned>(offset / RefCardWindows::slot_size);
    auto address = card_.windows().translate(window, RefCardWindows::Access::store,
                                             offset % RefCardWindows::slot_size, data.size());
    if (!address) {
        flush();
        return;
    }
    bool follows = line_.length != 0 && line_.window == window &&
                   line_.address + line_.length == *address && *address % line_size != 0 &&
                   line_.length + data.size() <= line_size - line_.address % line_size;
    if (!follows) {
        flush();
        line_.window = window;
        line_.address = *address;
    }
    std::copy(data.begin(), data.end(), line_.data.begin() + static_cast<long>(line_.length));
    line_.length += data.size();
    if (line_.address % line_size + line_.length >= line_size)
        flush();
    else
        flush_soon();
}

/// When what has come in so far is served.
void RefCardAperture::flush_soon()
{
    if (std::exchange(flush_posted_, true))
        return;
    loop().post([this, guard = std::weak_ptr<int>(alive_)] {
        if (guard.expired())
            return;
        flush_posted_ = false;
        flush();
    });
}

void RefCardAperture::flush()
{
    if (std::size_t length = std::exchange(line_.length, 0))
        card_.forward_write(line_.window, line_.address, std::span(line_.data).first(length));
}

void RefCardAperture::load(std::uint64_t offset, std::size_t length, ReadReply reply)
{
    ++loads_;
    flush();
    auto window = static_cast<unsigned>(offset / RefCardWindows::slot_size);
    auto address = card_.windows().translate(window, RefCardWindows::Access::load,
                                             offset % RefCardWindows::slot_size, length);
    if (address)
        card_.forward_read(window, *address, length, std::move(reply));
    else
        reply(std::vector<std::byte>(length, std::byte{0xff}));
}

void RefCardAperture::rung(unsigned page)
{
    notify(doorbells_.ring(1U << page));
}

void RefCardAperture::notify(std::uint32_t pages)
{
    for (unsigned page = 0; page < RefCard::doorbell_pages; ++page) {
        if (pages >> page & 1)
            raise(RefCard::doorbell_vector(page));
    }
}

void RefCardAperture::reset()
{
    line_.length = 0;
    doorbells_ = {};
    scratch_ = 0;
}

nlohmann::json RefCardAperture::describe() const
{
    return {{"card", card_.name()},
            {"stores", stores_},
            {"loads", loads_},
            {"pending", doorbells_.pending()},
            {"mask", doorbells_.mask()}};
}

} // namespace lab
