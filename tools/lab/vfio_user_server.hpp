// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/lab/dma_engine.hpp"
#include "tools/lab/unique_fd.hpp"
#include "tools/lab/vfio_user_connection.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

namespace lab {

class EventLoop;
class Machine;
class PciDevice;

/// Makes a PciDevice a device of a QEMU machine: listens on a unix socket, and serves one QEMU at a
/// time. When that QEMU is gone the device is reset and the next one may connect.
///
/// What QEMU asks wrongly gets an error reply and leaves the device as it was. Not thread-safe.
class VfioUserServer : private DmaPort {
public:
    /// Messages since reset_counters(), those to QEMU included.
    struct Counters {
        std::array<std::uint64_t, vfio_user::command_count> messages{};
        std::array<std::uint64_t, vfio_user::region_count> reads{};  ///< region_read, by region
        std::array<std::uint64_t, vfio_user::region_count> writes{}; ///< region_write, by region
        std::uint64_t refused = 0;                                   ///< answered with an error
    };

    /// Listens at `path`; what is left there of a server before is removed. `device`, which is a
    /// part of `machine`, and both outlive the server. Throws std::system_error.
    VfioUserServer(EventLoop& loop, Machine& machine, PciDevice& device, std::string path);
    ~VfioUserServer() override;
    VfioUserServer(const VfioUserServer&) = delete;
    VfioUserServer& operator=(const VfioUserServer&) = delete;

    bool connected() const { return connection_ != nullptr; }
    const Counters& counters() const { return counters_; }
    void reset_counters() { counters_ = {}; }

private:
    using Message = VfioUserConnection::Message;
    struct Answer;

    void accept();
    void disconnected(const std::string& reason);
    void received(Message& message);
    void answer(Message& message);
    void replied(const Message& message);
    void trace_message(const Message& message, int error) const;

    /// Each serves one command and returns 0 or an errno.
    int dispatch(Message& message, Answer& answer);
    int on_version(Message& message, Answer& answer);
    int on_dma_map(Message& message);
    int on_dma_unmap(Message& message, Answer& answer);
    int on_get_info(Answer& answer);
    int on_get_region_info(Message& message, Answer& answer);
    int on_get_irq_info(Message& message, Answer& answer);
    int on_set_irqs(Message& message);
    int on_region_read(Message& message, Answer& answer);
    bool read_later(const vfio_user::Header& header, const vfio_user::RegionAccess& access);
    int on_region_write(Message& message, Answer& answer);
    int on_reset();

    int add_range(const vfio_user::DmaMap& map, int fd);
    int set_eventfds(std::uint32_t start, std::uint32_t count, Message& message);
    void disable_interrupts();
    std::uint64_t region_size(std::uint32_t region) const;
    bool valid_access(const vfio_user::RegionAccess& access) const;

    std::size_t max_transfer() const override { return max_transfer_; }
    void send_read(std::uint64_t address, std::size_t length, Reply reply) override;
    void send_write(std::uint64_t address, std::span<const std::byte> data, Reply reply) override;
    vfio_user::Header request(vfio_user::Command command, Reply reply);

    EventLoop& loop_;
    Machine& machine_;
    PciDevice& device_;
    std::string path_;
    UniqueFd listener_;
    std::unique_ptr<VfioUserConnection> connection_;
    std::uint64_t connections_ = 0; ///< so far: a late answer to one before is dropped
    bool version_known_ = false;
    std::size_t max_transfer_ = vfio_user::max_data;
    std::uint16_t next_id_ = 0;
    std::unordered_map<std::uint16_t, Reply> pending_; ///< requests of ours, by id
    Counters counters_;
};

} // namespace lab
