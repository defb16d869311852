// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/pci_device.hpp"

#include "tools/lab/event_loop.hpp"
#include "tools/lab/machine.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <sys/eventfd.h>
#include <system_error>

namespace lab {

static_assert(std::endian::native == std::endian::little, "registers are little-endian");

namespace {

constexpr std::uint32_t pcie_capability = 0x40; // 60 bytes
constexpr std::uint32_t msix_capability = 0x80; // 12 bytes
constexpr std::uint32_t device_control = pcie_capability + PCI_EXP_DEVCTL;
constexpr std::uint32_t msix_control = msix_capability + PCI_MSIX_FLAGS;
constexpr std::uint32_t command_bits = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                       PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                                       PCI_COMMAND_INTX_DISABLE;
constexpr std::uint32_t link = PCI_EXP_LNKCAP_SLS_8_0GB | 8 << 4; // 8 GT/s, 8 lanes

constexpr std::uint32_t bar_register(unsigned bar)
{
    return PCI_BASE_ADDRESS_0 + 4 * bar;
}

/// The largest naturally aligned access, of at most 8 bytes, at the start of a range.
std::size_t aligned_piece(std::uint64_t offset, std::size_t length)
{
    std::size_t piece = std::min<std::size_t>(std::bit_floor(length), 8);
    while (offset % piece != 0)
        piece /= 2;
    return piece;
}

} // namespace

PciDevice::PciDevice(EventLoop& loop, std::string name, const PciIdentity& identity)
    : loop_(loop), name_(std::move(name)), identity_(identity),
      msix_eventfds_(identity.msix_vectors), msix_pending_(identity.msix_vectors), dma_(*this)
{
    build_header();
    build_pcie_capability();
    if (identity.msix_vectors != 0)
        build_msix_capability();
}

PciDevice::~PciDevice()
{
    if (machine_)
        machine_->remove(*this);
}

void PciDevice::set_config(std::uint32_t offset, unsigned bytes, std::uint32_t value,
                           std::uint32_t writable)
{
    std::memcpy(&config_default_[offset], &value, bytes);
    std::memcpy(&config_[offset], &value, bytes);
    std::memcpy(&config_writable_[offset], &writable, bytes);
}

std::uint32_t PciDevice::config_value(std::uint32_t offset, unsigned bytes) const
{
    std::uint32_t value = 0;
    std::memcpy(&value, &config_[offset], bytes);
    return value;
}

void PciDevice::build_header()
{
    set_config(PCI_VENDOR_ID, 2, identity_.vendor);
    set_config(PCI_DEVICE_ID, 2, identity_.device);
    set_config(PCI_COMMAND, 2, 0, command_bits);
    set_config(PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
    set_config(PCI_CLASS_REVISION, 4, identity_.class_code << 8 | identity_.revision);
    set_config(PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
    set_config(PCI_SUBSYSTEM_VENDOR_ID, 2, identity_.vendor);
    set_config(PCI_SUBSYSTEM_ID, 2, identity_.device);
    set_config(PCI_CAPABILITY_LIST, 1, pcie_capability);
    set_config(PCI_INTERRUPT_LINE, 1, 0, 0xff);
}

void PciDevice::build_pcie_capability()
{
    constexpr std::uint32_t base = pcie_capability;
    constexpr std::uint32_t payload_256 = 1;
    std::uint32_t next = identity_.msix_vectors != 0 ? msix_capability : 0;
    set_config(base, 2, PCI_CAP_ID_EXP | next << 8);
    set_config(base + PCI_EXP_FLAGS, 2, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
    set_config(base + PCI_EXP_DEVCAP, 4,
               payload_256 | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
    set_config(base + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN,
               0xffff & ~PCI_EXP_DEVCTL_BCR_FLR);
    set_config(base + PCI_EXP_LNKCAP, 4, link);
    set_config(base + PCI_EXP_LNKCTL, 2, 0, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_CCC);
    set_config(base + PCI_EXP_LNKSTA, 2, link);
    set_config(base + PCI_EXP_LNKCAP2, 4,
               PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB | PCI_EXP_LNKCAP2_SLS_8_0GB);
    set_config(base + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS_8_0GT, PCI_EXP_LNKCTL2_TLS);
}

void PciDevice::build_msix_capability()
{
    set_config(msix_capability, 2, PCI_CAP_ID_MSIX);
    set_config(msix_control, 2, identity_.msix_vectors - 1,
               PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    set_config(msix_capability + PCI_MSIX_TABLE, 4,
               identity_.msix_table_offset | identity_.msix_bar);
    set_config(msix_capability + PCI_MSIX_PBA, 4, identity_.msix_pba_offset | identity_.msix_bar);
}

void PciDevice::add_trapped_bar(unsigned bar, std::uint64_t size, bool is_64bit)
{
    add_bar(bar, Bar::Kind::trapped, size, is_64bit, false);
}

void PciDevice::add_memory_bar(unsigned bar, std::uint64_t size, bool prefetchable)
{
    add_bar(bar, Bar::Kind::memory, size, true, prefetchable);
    set_memory(bar, make_memfd(name_.c_str(), size));
}

void PciDevice::share_memory_bar(unsigned bar, const Bar& other)
{
    UniqueFd memory{::fcntl(other.memory_fd, F_DUPFD_CLOEXEC, 0)};
    if (!memory)
        throw std::system_error(errno, std::system_category(), "cannot share a card's memory");
    add_bar(bar, Bar::Kind::memory, other.size, true, other.prefetchable);
    set_memory(bar, std::move(memory));
}

void PciDevice::set_memory(unsigned bar, UniqueFd memory)
{
    bar_fds_[bar] = std::move(memory);
    bar_memory_[bar] = MappedMemory(bar_fds_[bar].get(), bars_[bar].size, true);
    bars_[bar].memory_fd = bar_fds_[bar].get();
    bars_[bar].memory = bar_memory_[bar].bytes();
}

void PciDevice::add_bar(unsigned bar, Bar::Kind kind, std::uint64_t size, bool is_64bit,
                        bool prefetchable)
{
    if (!std::has_single_bit(size) || size < 4096 || (!is_64bit && size > 1U << 31))
        throw std::invalid_argument("the size of a BAR is a power of two of at least 4096");
    bars_.at(bar) = Bar{.kind = kind,
                        .is_64bit = is_64bit,
                        .prefetchable = prefetchable,
                        .size = size,
                        .memory_fd = -1,
                        .memory = {}};
    std::uint32_t flags = (is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0U) |
                          (prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0U);
    std::uint64_t address_bits = ~(size - 1);
    set_config(bar_register(bar), 4, flags, static_cast<std::uint32_t>(address_bits));
    if (is_64bit)
        set_config(bar_register(bar + 1), 4, 0, static_cast<std::uint32_t>(address_bits >> 32));
}

bool PciDevice::memory_enabled() const
{
    return config_value(PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;
}

bool PciDevice::bus_master() const
{
    return config_value(PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

std::uint64_t PciDevice::bar_address(unsigned bar) const
{
    const Bar& decoder = bars_.at(bar);
    if (decoder.kind == Bar::Kind::none || !memory_enabled())
        return 0;
    std::uint64_t low = config_value(bar_register(bar), 4);
    std::uint64_t high = decoder.is_64bit ? config_value(bar_register(bar + 1), 4) : 0;
    return high << 32 | (low & PCI_BASE_ADDRESS_MEM_MASK & 0xffffffff);
}

void PciDevice::config_read(std::uint32_t offset, std::span<std::byte> into) const
{
    std::copy_n(config_.begin() + offset, into.size(), into.begin());
}

void PciDevice::config_write(std::uint32_t offset, std::span<const std::byte> data)
{
    constexpr std::uint32_t flr_byte = device_control + 1;
    constexpr std::byte flr_bit{PCI_EXP_DEVCTL_BCR_FLR >> 8};

    for (std::size_t i = 0; i < data.size(); ++i) {
        std::byte mask = config_writable_[offset + i];
        config_[offset + i] = (config_[offset + i] & ~mask) | (data[i] & mask);
    }
    config_changed();
    bool covers_flr = offset <= flr_byte && flr_byte - offset < data.size();
    if (covers_flr && (data[flr_byte - offset] & flr_bit) != std::byte{0})
        function_reset();
}

void PciDevice::config_changed()
{
    msix_enabled_ =
        !msix_eventfds_.empty() && (config_value(msix_control, 2) & PCI_MSIX_FLAGS_ENABLE);
    if (machine_)
        machine_->decoding_changed();
}

void PciDevice::function_reset()
{
    std::array<std::byte, 24> addresses{};
    auto registers = config_.begin() + PCI_BASE_ADDRESS_0;
    std::copy_n(registers, addresses.size(), addresses.begin());
    config_ = config_default_;
    std::copy(addresses.begin(), addresses.end(), registers);
    config_changed();
    std::fill(msix_pending_.begin(), msix_pending_.end(), false);
    dma_.abort();
    reset();
}

void PciDevice::power_on()
{
    config_ = config_default_;
    for (auto& eventfd : msix_eventfds_)
        eventfd.reset();
    dma_.map().clear();
    function_reset();
}

void PciDevice::raise(unsigned vector)
{
    if (!msix_enabled_ || !bus_master() || vector >= msix_eventfds_.size())
        return;
    ++interrupts_;
    if (msix_eventfds_[vector])
        signal(vector);
    else
        msix_pending_[vector] = true;
}

void PciDevice::signal(unsigned vector)
{
    // Cannot fail but for a full counter, and then the interrupt is pending anyway.
    (void)::eventfd_write(msix_eventfds_[vector].get(), 1);
}

/// Takes `eventfd`; -1: the vector has none any more.
void PciDevice::set_interrupt(unsigned vector, int eventfd)
{
    msix_eventfds_.at(vector).reset(eventfd);
    if (eventfd >= 0 && msix_pending_[vector]) {
        msix_pending_[vector] = false;
        signal(vector);
    }
}

bool PciDevice::read_pending_bits(unsigned bar, std::uint64_t offset,
                                  std::span<std::byte> into) const
{
    std::size_t vectors = msix_pending_.size();
    std::uint64_t start = identity_.msix_pba_offset;
    if (vectors == 0 || bar != identity_.msix_bar || offset < start ||
        offset - start + into.size() > (vectors + 63) / 64 * 8)
        return false;
    std::fill(into.begin(), into.end(), std::byte{0});
    for (std::size_t i = 0; i < into.size() * 8; ++i) {
        std::size_t vector = (offset - start) * 8 + i;
        if (vector < vectors && msix_pending_[vector])
            into[i / 8] |= std::byte{1} << (i % 8);
    }
    return true;
}

void PciDevice::peer_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into)
{
    const Bar& target = bars_.at(bar);
    if (target.kind == Bar::Kind::memory) {
        std::memcpy(into.data(), target.memory.data() + offset, into.size());
        return;
    }
    while (!into.empty()) {
        std::size_t piece = aligned_piece(offset, into.size());
        if (!read_pending_bits(bar, offset, into.first(piece)))
            bar_read(bar, offset, into.first(piece));
        offset += piece;
        into = into.subspan(piece);
    }
}

void PciDevice::peer_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data)
{
    const Bar& target = bars_.at(bar);
    if (target.kind == Bar::Kind::memory) {
        store(target.memory.data() + offset, data);
        return;
    }
    while (!data.empty()) {
        std::size_t piece = aligned_piece(offset, data.size());
        bar_write(bar, offset, data.first(piece));
        offset += piece;
        data = data.subspan(piece);
    }
}

void PciDevice::bar_read(unsigned, std::uint64_t, std::span<std::byte> into)
{
    std::fill(into.begin(), into.end(), std::byte{0});
}

bool PciDevice::bar_read_later(unsigned, std::uint64_t, std::size_t, const ReadReply&)
{
    return false;
}

void PciDevice::pause_input(bool paused)
{
    input_paused_ = paused;
    if (input_paused_changed_)
        input_paused_changed_(paused);
}

void PciDevice::bar_write(unsigned, std::uint64_t, std::span<const std::byte>) {}

void PciDevice::peer_access(const PciDevice&, unsigned, std::uint64_t, std::uint64_t, bool) {}

nlohmann::json PciDevice::describe() const
{
    return nlohmann::json::object();
}

nlohmann::json PciDevice::control(const nlohmann::json&)
{
    throw std::invalid_argument(name_ + " takes no requests of its own");
}

void PciDevice::reset_counters() {}

void PciDevice::clear_counters()
{
    interrupts_ = 0;
    dma_.reset_counters();
    reset_counters();
}

} // namespace lab
