// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/efa/admin_commands.hpp"
#include "tools/lab/efa/admin_queue.hpp"
#include "tools/lab/efa/context.hpp"
#include "tools/lab/efa/registers.hpp"
#include "tools/lab/efa/resources.hpp"
#include "tools/lab/fabric.hpp"
#include "tools/lab/pci_device.hpp"

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace lab {

/// An EFA adapter (1d0f:efa1), as the Linux driver efa.ko and libefa expect it:
/// Documentation/efa-model.rst says what is modelled and what is not.
///
/// BAR 0: registers and MSI-X; BAR 2: queue memory (LLQ), which guests write directly; BAR 4:
/// doorbells. A register or doorbell write only takes note: all that follows from it happens
/// after QEMU has its reply.
class EfaAdapter final : public PciDevice, private FabricPort {
public:
    /// @param config  {"gid": an IPv6 address; default: derived from the name,
    ///                 "event_counters": false: it has none; default: true}
    /// @throws std::invalid_argument if the configuration is wrong or the GID is taken.
    EfaAdapter(EventLoop& loop, std::string name, const nlohmann::json& config, Fabric& fabric);
    ~EfaAdapter() override;

    const Gid& gid() const { return context_.gid; }

    void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into) override;
    void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) override;
    void peer_access(const PciDevice& by, unsigned bar, std::uint64_t offset, std::uint64_t length,
                     bool is_write) override;
    void reset() override;
    /// "gid", "counters", "queue_pairs", and "regions": live ones and the last 256 deregistered,
    /// each with the bytes that this adapter moved by each route.
    nlohmann::json describe() const override;
    void reset_counters() override;
    /// {"delay_peer_writes": MILLISECONDS, "longer_than": BYTES}: PostedWrites::Delay for what this
    /// adapter writes to other devices; 0 milliseconds: no delay any more.
    nlohmann::json control(const nlohmann::json& request) override;

private:
    static constexpr unsigned register_bar = 0;
    static constexpr unsigned queue_memory_bar = 2;
    static constexpr unsigned doorbell_bar = 4;

    void receive(PacketPtr packet) override;
    void undeliverable(PacketPtr packet) override;

    std::uint32_t& reg(std::uint32_t offset) { return registers_[offset / 4]; }
    void set_default_registers();
    void write_register(std::uint32_t offset, std::uint32_t value);
    void defer(std::function<void()> work);
    void ring_doorbell(std::uint32_t offset, std::uint32_t value);
    void answer_read(std::uint32_t request);
    void admin_doorbell(std::uint16_t producer);
    void control(std::uint32_t value);
    void restart();
    void admin_completed();

    efa::Context context_;
    efa::Identity identity_;
    std::array<std::uint32_t, efa::reg::end / 4> registers_{};
    std::unique_ptr<efa::Resources> resources_;
    efa::AdminQueue admin_queue_;
    std::shared_ptr<int> alive_; ///< expires with the adapter, and with what it deferred at a reset
};

} // namespace lab
