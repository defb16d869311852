// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/frame_filter.hpp"
#include "lib/l2/interface.hpp"
#include "lib/l2/port.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace p2prdma::l2 {

/// A port on an interface: what all kinds of them have in common.
class LinkPort : public Port {
public:
    [[nodiscard]] MacAddress address() const noexcept final { return link_.address; }
    [[nodiscard]] std::uint32_t frame_limit() const noexcept final;
    [[nodiscard]] std::string reason() const final { return reason_; }
    [[nodiscard]] bool is_up() const noexcept final { return link_.up; }
    void look() noexcept override { link_ = interface_.link(); }

    /// Why it was chosen: one sentence.
    void set_reason(std::string reason) { reason_ = std::move(reason); }

protected:
    /// \param limit  bytes of a frame that the port or its user takes; 0: the MTU's
    LinkPort(Interface interface, const FrameFilter& filter, std::uint32_t limit);

    [[nodiscard]] const Interface& interface() const noexcept { return interface_; }
    [[nodiscard]] const FrameFilter& filter() const noexcept { return filter_; }

private:
    Interface interface_;
    FrameFilter filter_;
    std::uint32_t limit_;
    Interface::Link link_;
    std::string reason_;
};

} // namespace p2prdma::l2
