// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/pci_device.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace lab {

/// The reference card, as Documentation/refcard.rst specifies it: memory behind BAR 2, which guests
/// and siblings reach without a message, and registers and doorbell pages behind BAR 0.
class RefCard : public PciDevice {
public:
    static constexpr unsigned register_bar = 0;
    static constexpr unsigned memory_bar = 2;
    static constexpr unsigned msix_bar = 4;
    static constexpr unsigned vectors = 8;
    static constexpr std::uint32_t doorbell_pages = 8;
    static constexpr std::uint64_t doorbell_offset = 0x8000; ///< below it: registers
    static constexpr std::uint64_t max_memory = std::uint64_t{1} << 36;

    /// `memory`: bytes, a power of two from 4096 to max_memory. Throws std::invalid_argument.
    RefCard(EventLoop& loop, std::string name, std::uint64_t memory, std::uint64_t serial);

    void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into) override;
    void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) override;
    void reset() override;
    nlohmann::json describe() const override;
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
    std::uint32_t read_doorbell(std::uint64_t offset) const;
    void write_register(std::uint64_t offset, std::uint32_t value);
    void ring(unsigned page, std::span<const std::byte> data);
    void notify(unsigned page);
    std::uint32_t status() const;

    std::uint64_t memory_;
    std::uint64_t serial_;
    std::map<std::uint64_t, std::uint32_t> lies_; ///< what some registers read instead
    bool ready_ = true;
    bool fault_ = false;
    std::uint32_t scratch_ = 0;
    std::uint32_t pending_ = 0;
    std::uint32_t mask_ = ~0U;
    std::array<Doorbell, doorbell_pages> doorbells_{};
};

} // namespace lab
