// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/mapped_memory.hpp"
#include "tools/lab/violations.hpp"

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lab {

class EventLoop;
class Machine;

/// What a PCI function looks like before it is built.
struct PciIdentity {
    std::uint16_t vendor;
    std::uint16_t device;
    std::uint32_t class_code; ///< 24 bits: base class, subclass, interface
    std::uint8_t revision = 0;
    unsigned msix_vectors = 0; ///< 0: no MSI-X capability
    unsigned msix_bar = 0;     ///< BAR of table and pending bits
    std::uint32_t msix_table_offset = 0;
    std::uint32_t msix_pba_offset = 0;
};

/// A base address register and what lies behind it.
struct Bar {
    enum class Kind : std::uint8_t {
        none,
        trapped, ///< each access is a message: bar_read(), bar_write()
        memory,  ///< memory shared with QEMU: guests access it without the server's help
    };
    Kind kind = Kind::none;
    bool is_64bit = false; ///< takes the next BAR's place as well
    bool prefetchable = false;
    std::uint64_t size = 0;      ///< power of two
    int memory_fd = -1;          ///< Kind::memory: a memfd of `size` bytes, owned by the device
    std::span<std::byte> memory; ///< Kind::memory: the same, mapped here
};

/// A PCI Express endpoint function: configuration space with its capabilities, BARs, MSI-X, FLR
/// and a DMA engine. A device model derives from it and implements what its registers do; the
/// vfio-user server drives it.
///
/// A model must not wait for anything in bar_read() or bar_write(): the virtual CPU that made
/// the access waits for the reply, and QEMU serves no DMA message meanwhile. Work that needs DMA
/// goes to EventLoop::post().
class PciDevice {
public:
    PciDevice(EventLoop& loop, std::string name, const PciIdentity& identity);
    virtual ~PciDevice();
    PciDevice(const PciDevice&) = delete;
    PciDevice& operator=(const PciDevice&) = delete;

    const std::string& name() const { return name_; } ///< "machine.device", as in the configuration

    /// @name For the model
    /// @{
    /// A register of BAR `bar` is read: fill `into`. Default: zeroes.
    virtual void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into);
    /// What answers a read later; called once, with as many bytes as were asked for.
    using ReadReply = std::function<void(std::span<const std::byte>)>;
    /// The machine reads BAR `bar`: a model that cannot answer at once returns true and calls
    /// `reply` when it can, at last when the function is reset; perhaps before it returns. The
    /// virtual CPU that made the access waits, with its machine's other accesses to any device.
    /// Default: false, and bar_read() is called.
    virtual bool bar_read_later(unsigned bar, std::uint64_t offset, std::size_t length,
                                const ReadReply& reply);
    /// A register is written. Default: ignored.
    virtual void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data);
    /// The function was reset (FLR, or QEMU's device reset): registers go back to their defaults.
    virtual void reset() = 0;
    /// Counters and state for the control socket; keys are the model's own.
    virtual nlohmann::json describe() const;
    /// Sets the counters that describe() shows to 0.
    virtual void reset_counters();

    /// A device's DMA is about to read or write BAR `bar` of this one, whatever its kind: a model
    /// that knows who may do that tells of what it may not. Accesses that QEMU carries out, as
    /// those behind an IOMMU, are not seen. Default: nothing.
    virtual void peer_access(const PciDevice& by, unsigned bar, std::uint64_t offset,
                             std::uint64_t length, bool is_write);

    /// A request of the control socket's "device" command, such as a fault to inject; its keys are
    /// the model's own. Returns what to reply. Throws std::invalid_argument with one sentence if
    /// the request makes no sense; the default always does.
    virtual nlohmann::json control(const nlohmann::json& request);

    /// Raises MSI-X vector `vector`. Nothing happens while MSI-X or bus mastering is off. A vector
    /// that QEMU has not set up yet stays pending until it does.
    void raise(unsigned vector);
    /// Leaves further accesses of the machine where they are, or goes on with them: how a model
    /// bounds the work that posted writes give it.
    void pause_input(bool paused);
    DmaEngine& dma() { return dma_; }
    /// What this device found that must not happen.
    Violations& violations() { return violations_; }
    EventLoop& loop() { return loop_; }
    /// @}

    /// @name For the server, the DMA engines of siblings and tests
    /// @{
    std::span<const Bar, 6> bars() const { return bars_; }
    /// The bus address that the guest gave BAR `bar`, or 0 while memory decoding is off.
    std::uint64_t bar_address(unsigned bar) const;
    bool bus_master() const;
    bool memory_enabled() const;
    void config_read(std::uint32_t offset, std::span<std::byte> into) const;
    void config_write(std::uint32_t offset, std::span<const std::byte> data);
    /// Resets the function: configuration registers, waiting DMA and interrupts, then reset().
    /// The BARs' addresses stay: QEMU keeps them over an FLR, and clears them itself otherwise.
    void function_reset();

    /// An access by a peer: like bar_read() and bar_write(), also for Bar::Kind::memory. Writes
    /// longer than 8 bytes to a trapped BAR arrive at the model as aligned pieces of at most 8.
    void peer_read(unsigned bar, std::uint64_t offset, std::span<std::byte> into);
    void peer_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data);
    bool input_paused() const { return input_paused_; }
    std::uint64_t interrupts() const { return interrupts_; } ///< raised since clear_counters()
    /// Sets all counters to 0: interrupts, DMA, and by reset_counters() the model's own.
    void clear_counters();
    /// @}

protected:
    void add_trapped_bar(unsigned bar, std::uint64_t size, bool is_64bit = false);
    void add_memory_bar(unsigned bar, std::uint64_t size, bool prefetchable);
    /// The memory behind `other`, a BAR of another device, which may go first.
    void share_memory_bar(unsigned bar, const Bar& other);

private:
    friend class VfioUserServer;
    friend class Machine;
    friend class DmaEngine;

    void build_header();
    void build_pcie_capability();
    void build_msix_capability();
    void set_config(std::uint32_t offset, unsigned bytes, std::uint32_t value,
                    std::uint32_t writable = 0);
    std::uint32_t config_value(std::uint32_t offset, unsigned bytes) const;
    void add_bar(unsigned bar, Bar::Kind kind, std::uint64_t size, bool is_64bit,
                 bool prefetchable);
    void set_memory(unsigned bar, UniqueFd memory);
    void config_changed();
    /// All registers as after power on: QEMU is gone, and with it the machine.
    void power_on();
    void set_interrupt(unsigned vector, int eventfd);
    void signal(unsigned vector);
    bool read_pending_bits(unsigned bar, std::uint64_t offset, std::span<std::byte> into) const;

    EventLoop& loop_;
    std::string name_;
    PciIdentity identity_;
    std::array<Bar, 6> bars_{};
    std::array<std::byte, 4096> config_{};
    std::array<std::byte, 4096> config_writable_{}; ///< mask: the bits that software may change
    std::array<std::byte, 4096> config_default_{};  ///< as after reset
    std::array<UniqueFd, 6> bar_fds_;
    std::array<MappedMemory, 6> bar_memory_;
    std::vector<UniqueFd> msix_eventfds_;
    std::vector<bool> msix_pending_; ///< raised while QEMU had no eventfd for the vector
    bool msix_enabled_ = false;
    bool input_paused_ = false;
    std::function<void(bool)> input_paused_changed_; ///< the server's
    std::uint64_t interrupts_ = 0;
    Violations violations_;
    Machine* machine_ = nullptr;
    int switch_id_ = -1; ///< given by the machine; -1: below a root port of its own
    DmaEngine dma_;
};

} // namespace lab
