// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/refcard.hpp"

namespace lab {

/// The reference card's memory as the card's own machine sees it: the same bytes that lie behind
/// the host's memory BAR. A function of its own, because QEMU makes all writes to a vfio-user
/// device wait as soon as any of its BARs can be mapped.
class RefCardPool : public PciDevice {
public:
    static constexpr unsigned register_bar = 0;
    static constexpr unsigned memory_bar = 2;

    /// `card` is only used here and for its registers; it outlives this.
    RefCardPool(EventLoop& loop, std::string name, const RefCard& card);

    void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into) override;
    void reset() override {}

private:
    std::uint32_t read_register(std::uint64_t offset) const;

    const RefCard& card_;
};

/// The reference card's way out, as the card's own machine sees it: the aperture, whose stores and
/// loads the host face forwards, and the doorbells of both sides. All writes are posted.
class RefCardAperture : public PciDevice {
public:
    static constexpr unsigned register_bar = 0;
    static constexpr unsigned aperture_bar = 2;
    static constexpr unsigned msix_bar = 4;
    static constexpr std::uint64_t aperture_size =
        RefCardWindows::count * RefCardWindows::slot_size;

    /// `card` outlives this. Throws std::invalid_argument if it has an aperture already.
    RefCardAperture(EventLoop& loop, std::string name, RefCard& card);
    ~RefCardAperture() override;

    void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into) override;
    bool bar_read_later(unsigned bar, std::uint64_t offset, std::size_t length,
                        const ReadReply& reply) override;
    void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) override;
    void reset() override;
    nlohmann::json describe() const override;
    void reset_counters() override { stores_ = loads_ = 0; }

    /// Forwards what was combined so far.
    void flush();
    /// Doorbell page `page` was rung.
    void rung(unsigned page);

private:
    /// Contiguous stores that go out as one write, within 64 aligned bytes of the target.
    struct Line {
        unsigned window = 0;
        std::uint64_t address = 0;
        std::size_t length = 0;
        std::array<std::byte, 64> data{};
    };

    std::uint32_t read_register(std::uint64_t offset) const;
    void write_register(std::uint64_t offset, std::uint32_t value);
    void store(std::uint64_t offset, std::span<const std::byte> data);
    void load(std::uint64_t offset, std::size_t length, ReadReply reply);
    void flush_soon();
    void notify(std::uint32_t pages);

    RefCard& card_;
    Line line_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(); ///< what was posted checks it
    bool flush_posted_ = false;
    DoorbellInterrupt doorbells_;
    std::uint32_t scratch_ = 0;
    std::uint64_t stores_ = 0;
    std::uint64_t loads_ = 0;
};

} // namespace lab
