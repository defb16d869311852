// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/network.hpp"
#include "lib/l2/port.hpp"

#include <cstdint>
#include <vector>

namespace p2prdma::l2 {

/// A station of a simulated network; made by Network::attach(). Its settings are those of its link
/// and may change at any time.
class MemoryPort final : public Port {
public:
    MemoryPort(Network& network, std::uint32_t link) noexcept;
    ~MemoryPort() override;

    [[nodiscard]] MacAddress address() const noexcept override;
    [[nodiscard]] std::uint32_t frame_limit() const noexcept override;
    [[nodiscard]] PortKind kind() const noexcept override { return PortKind::automatic; }
    [[nodiscard]] std::string reason() const override;
    std::size_t send(std::span<const Outgoing> frames) noexcept override;
    std::size_t receive(std::span<std::span<const std::byte>> frames) noexcept override;
    [[nodiscard]] int fd() const noexcept override { return -1; }
    [[nodiscard]] bool is_up() const noexcept override;

    void set_address(const MacAddress& address) noexcept;
    void set_frame_limit(std::uint32_t bytes) noexcept; ///< as LinkOptions::frame_limit
    void set_up(bool up) noexcept;                      ///< down: what is on the cable is lost, too
    void set_impairments(const Impairments& to_switch, const Impairments& to_station) noexcept;

private:
    friend class Network;

    Network::Link& link() const noexcept { return *network_.links_[link_]; }

    Network& network_;
    std::uint32_t link_;
    std::vector<std::uint32_t> lent_; // frames that the latest receive() gave out
};

} // namespace p2prdma::l2
