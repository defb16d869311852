// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/port.hpp"
#include "lib/l2/random.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace p2prdma::l2 {

/// Loses some of the frames that are sent by another port: DeviceOptions::lose. For tests.
class LossyPort final : public Port {
public:
    /// \param lose  probability, 0 to 1
    LossyPort(std::unique_ptr<Port> inner, double lose, std::uint64_t seed);

    std::size_t send(std::span<const Outgoing> frames) noexcept override;
    [[nodiscard]] Statistics statistics() const override; ///< also "lost_on_purpose"
    [[nodiscard]] std::string reason() const override;

    [[nodiscard]] MacAddress address() const noexcept override { return inner_->address(); }
    [[nodiscard]] std::uint32_t frame_limit() const noexcept override
    {
        return inner_->frame_limit();
    }
    [[nodiscard]] PortKind kind() const noexcept override { return inner_->kind(); }
    [[nodiscard]] std::size_t batch() const noexcept override { return inner_->batch(); }
    std::size_t receive(std::span<std::span<const std::byte>> frames) noexcept override
    {
        return inner_->receive(frames);
    }
    [[nodiscard]] int fd() const noexcept override { return inner_->fd(); }
    void look() noexcept override { inner_->look(); }
    [[nodiscard]] bool is_up() const noexcept override { return inner_->is_up(); }

private:
    [[nodiscard]] std::uint64_t draw() noexcept;

    std::unique_ptr<Port> inner_;
    double lose_;
    Random random_;
    std::uint64_t until_loss_; // frames that are sent before the next one that is lost
    std::uint64_t lost_ = 0;
};

} // namespace p2prdma::l2
