// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/doorbell_interrupt.hpp"
#include "tools/lab/given_ranges.hpp"
#include "tools/lab/pci_device.hpp"
#include "tools/lab/refcard_windows.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

namespace lab {

class RefCardAperture;

/// The reference card's host face, as Documentation/refcard.rst specifies it: memory behind BAR 2,
/// which guests and siblings reach without a message, and registers and doorbell pages behind BAR
/// 0. What the card's own machine does through a RefCardAperture goes through this device's DMA
/// engine, in one queue, which keeps its order.
class RefCard : public PciDevice {
public:
    static constexpr unsigned register_bar = 0;
    static constexpr unsigned memory_bar = 2;
    static constexpr unsigned msix_bar = 4;
    static constexpr unsigned vectors = 8;
    static constexpr std::uint64_t register_bar_size = 0x40000;
    static constexpr std::uint32_t doorbell_pages = 32;
    static constexpr std::uint64_t doorbell_offset = 0x8000; ///< below it: registers
    /// Accesses of the card under way at which it is told to wait, and to go on.
    static constexpr unsigned max_forwarded = 256;
    static constexpr unsigned few_forwarded = 128;
    /// The card's load is answered with all ones after that.
    static constexpr std::chrono::milliseconds read_timeout{1000};
    static constexpr std::uint64_t max_memory = std::uint64_t{1} << 36;

    /// `memory`: bytes, a power of two from 4096 to max_memory. Throws std::invalid_argument.
    RefCard(EventLoop& loop, std::string name, std::uint64_t memory, std::uint64_t serial);

    /// @name For the card's own machine
    /// @{
    /// The aperture; null once it is gone. Throws std::invalid_argument if there is another.
    void attach(RefCardAperture* aperture);
    RefCardWindows& windows() { return windows_; }
    /// Carries a store or a load through a window, whose translate() gave `address`.
    void forward_write(unsigned window, std::uint64_t address, std::span<const std::byte> data);
    void forward_read(unsigned window, std::uint64_t address, std::size_t length, ReadReply reply);
    /// Rings the host, as soon as the writes before are done.
    void ring_host(std::uint32_t bells);
    /// Identity, control area and doorbell pages, which all faces show alike.
    std::uint32_t read_common(std::uint64_t offset) const;
    std::uint64_t serial() const { return serial_; }
    std::uint64_t memory() const { return memory_; }
    static bool is_doorbell(std::uint64_t offset);
    static unsigned doorbell_vector(unsigned page);
    /// @}

    void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into) override;
    void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) override;
    void peer_access(const PciDevice& by, unsigned bar, std::uint64_t offset, std::uint64_t length,
                     bool is_write) override;
    void reset() override;
    nlohmann::json describe() const override;
    void reset_counters() override;
    /// {"fault": true}: the card reports a fault until it is reset. {"ready": false}: it reports
    /// that it is not ready, until told otherwise. {"lies": {"0x18": 3}}: these registers, by their
    /// offsets, read so and no others do: how a card looks that cannot be trusted.
    nlohmann::json control(const nlohmann::json& request) override;

private:
    struct Doorbell {
        std::uint32_t count = 0;
        std::uint64_t last = 0;
    };

    std::uint32_t read_register(std::uint64_t offset) const;
    std::uint32_t host_read(std::uint64_t offset);
    std::uint32_t read_windows(std::uint64_t offset) const;
    std::uint32_t read_doorbell(std::uint64_t offset) const;
    void write_lab(std::uint64_t offset, std::uint32_t value);
    void write_register(std::uint64_t offset, std::uint32_t value);
    void ring(unsigned page, std::span<const std::byte> data, bool keep);
    void notify(std::uint32_t pages);
    RefCardWindows::Pass begin(unsigned window);
    void end(const RefCardWindows::Pass& pass, const DmaResult& result);
    void bells_due();
    std::uint32_t status() const;

    std::uint64_t memory_;
    std::uint64_t serial_;
    std::map<std::uint64_t, std::uint32_t> lies_; ///< what some registers read instead
    bool ready_ = true;
    bool fault_ = false;
    std::uint32_t scratch_ = 0;
    std::array<std::uint32_t, 4> control_area_{}; ///< offset, size, epoch
    std::array<std::uint32_t, 4> lab_range_{};    ///< offset, length
    GivenRanges given_;                           ///< memory that the driver gave out
    DoorbellInterrupt host_;                      ///< doorbell pages
    DoorbellInterrupt card_;                      ///< the card's bells
    std::array<Doorbell, doorbell_pages> doorbells_{};

    /// Bells that wait for the accesses before them.
    struct Bells {
        std::uint64_t after; ///< begun_ when they were rung
        std::uint32_t bells;
    };
    RefCardWindows windows_;
    RefCardAperture* aperture_ = nullptr;
    std::uint64_t begun_ = 0; ///< accesses of the card, which end in that order
    std::uint64_t ended_ = 0;
    std::deque<Bells> bells_;
    std::uint64_t forwarded_writes_ = 0;
    std::uint64_t forwarded_reads_ = 0;
};

} // namespace lab
