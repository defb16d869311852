// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/refcard_windows.hpp"

#include <limits>
#include <nlohmann/json.hpp>

namespace lab {

namespace {

// The names are those of Documentation/refcard.rst.
constexpr std::uint64_t register_stride = 0x40;
enum WindowRegister : std::uint64_t {
    TARGET_LO = 0x00,
    TARGET_HI = 0x04,
    LENGTH_LO = 0x08,
    LENGTH_HI = 0x0c,
    CONTROL = 0x10,
    ERRORS = 0x14,
    OUTSTANDING = 0x18,
    DROPPED = 0x1c,
};
enum Control : std::uint32_t { ENABLED = 1 << 0, NO_LOADS = 1 << 1, NO_STORES = 1 << 2 };

std::uint32_t low(std::uint64_t value)
{
    return static_cast<std::uint32_t>(value);
}

std::uint32_t high(std::uint64_t value)
{
    return static_cast<std::uint32_t>(value >> 32);
}

void set_low(std::uint64_t& value, std::uint32_t part)
{
    value = (value & ~std::uint64_t{0xffffffff}) | part;
}

void set_high(std::uint64_t& value, std::uint32_t part)
{
    value = (value & 0xffffffff) | std::uint64_t{part} << 32;
}

} // namespace

bool RefCardWindows::Window::enabled() const
{
    return (control & ENABLED) != 0;
}

std::uint32_t RefCardWindows::read(std::uint64_t offset) const
{
    if (offset >= count * register_stride)
        return 0;
    const Window& window = windows_[offset / register_stride];
    switch (offset % register_stride) {
    case TARGET_LO:
        return low(window.target);
    case TARGET_HI:
        return high(window.target);
    case LENGTH_LO:
        return low(window.length);
    case LENGTH_HI:
        return high(window.length);
    case CONTROL:
        return window.control;
    case ERRORS:
        return window.errors;
    case OUTSTANDING:
        return window.outstanding;
    case DROPPED:
        return window.dropped;
    default:
        return 0;
    }
}

bool RefCardWindows::write(std::uint64_t offset, std::uint32_t value)
{
    if (offset >= count * register_stride)
        return true;
    Window& window = windows_[offset / register_stride];
    std::uint64_t at = offset % register_stride;
    if (window.enabled() && at <= LENGTH_HI) {
        window.errors |= bad_setup;
        return true;
    }
    switch (at) {
    case TARGET_LO:
        set_low(window.target, value);
        break;
    case TARGET_HI:
        set_high(window.target, value);
        break;
    case LENGTH_LO:
        set_low(window.length, value);
        break;
    case LENGTH_HI:
        set_high(window.length, value);
        break;
    case CONTROL:
        return control(window, value);
    case ERRORS:
        window.errors &= ~value;
        break;
    default:
        break;
    }
    return true;
}

bool RefCardWindows::control(Window& window, std::uint32_t value)
{
    bool was_enabled = window.enabled();
    bool enable = value & ENABLED;
    bool good = window.length != 0 && window.length <= slot_size &&
                window.length - 1 <= std::numeric_limits<std::uint64_t>::max() - window.target;
    if (enable && !good)
        window.errors |= bad_setup;
    if (!was_enabled)
        window.control = value & (NO_LOADS | NO_STORES);
    window.control &= ~ENABLED;
    window.control |= enable && good ? ENABLED : 0U;
    if (was_enabled || !window.enabled())
        return true;
    ++window.openings;
    return window.outstanding == 0;
}

void RefCardWindows::told_idle(std::uint64_t offset)
{
    if (offset >= count * register_stride || offset % register_stride != OUTSTANDING)
        return;
    Window& window = windows_[offset / register_stride];
    if (!window.enabled())
        window.closed = window.openings;
}

void RefCardWindows::all_told_idle()
{
    for (unsigned i = 0; i < count; ++i)
        told_idle(i * register_stride + OUTSTANDING);
}

std::uint32_t RefCardWindows::card_read(std::uint64_t offset) const
{
    if (offset >= count * register_stride)
        return 0;
    const Window& window = windows_[offset / register_stride];
    switch (offset % register_stride) {
    case LENGTH_LO:
        return window.enabled() ? low(window.length) : 0;
    case LENGTH_HI:
        return window.enabled() ? high(window.length) : 0;
    case ERRORS:
        return window.card_errors;
    case DROPPED:
        return window.dropped;
    default:
        return 0;
    }
}

void RefCardWindows::card_write(std::uint64_t offset, std::uint32_t value)
{
    if (offset < count * register_stride && offset % register_stride == ERRORS)
        windows_[offset / register_stride].card_errors &= ~value;
}

std::uint32_t RefCardWindows::outstanding() const
{
    std::uint32_t sum = 0;
    for (const auto& window : windows_)
        sum += window.outstanding;
    return sum;
}

std::uint32_t RefCardWindows::error_map() const
{
    static_assert(count <= 32, "WIN_ERROR has a bit for each window");
    std::uint32_t map = 0;
    for (unsigned i = 0; i < count; ++i)
        map |= (windows_[i].errors != 0 ? 1U : 0U) << i;
    return map;
}

std::optional<std::uint64_t> RefCardWindows::translate(unsigned window, Access access,
                                                       std::uint64_t at, std::uint64_t length)
{
    const Window& way = windows_[window];
    std::uint32_t bar = access == Access::load ? NO_LOADS : NO_STORES;
    if (!way.enabled())
        fail(window, closed);
    else if (at > way.length || length > way.length - at)
        fail(window, outside);
    else if ((way.control & bar) != 0)
        fail(window, barred);
    else
        return way.target + at;
    return std::nullopt;
}

RefCardWindows::Pass RefCardWindows::begin(unsigned window)
{
    ++windows_[window].outstanding;
    return {.window = window, .opening = windows_[window].openings};
}

bool RefCardWindows::end(const Pass& pass, bool good)
{
    Window& window = windows_[pass.window];
    --window.outstanding;
    if (!good)
        fail(pass.window, refused);
    return !good || pass.opening > window.closed;
}

void RefCardWindows::fail(unsigned window, Error error)
{
    windows_[window].errors |= error;
    windows_[window].card_errors |= error;
    ++windows_[window].dropped;
}

void RefCardWindows::reset()
{
    for (auto& window : windows_)
        window = Window{.outstanding = window.outstanding,
                        .openings = window.openings,
                        .closed = window.closed};
}

nlohmann::json RefCardWindows::describe() const
{
    nlohmann::json list = nlohmann::json::array();
    for (unsigned i = 0; i < count; ++i) {
        const Window& window = windows_[i];
        if (window.length == 0 && window.dropped == 0)
            continue;
        list.push_back({{"window", i},
                        {"target", window.target},
                        {"length", window.length},
                        {"enabled", window.enabled()},
                        {"loads", (window.control & NO_LOADS) == 0},
                        {"stores", (window.control & NO_STORES) == 0},
                        {"outstanding", window.outstanding},
                        {"errors", window.errors},
                        {"dropped", window.dropped}});
    }
    return list;
}

} // namespace lab
