// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tools/p2prdma/adapter.hpp"
#include "tools/p2prdma/buffer.hpp"
#include "tools/p2prdma/endpoint.hpp"
#include "tools/p2prdma/pieces.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace p2prdma::tool {

/// This end of a transfer: an adapter, and the memory that it moves.
class Site {
public:
    virtual ~Site() = default;

    /// The RDMA device's name.
    virtual std::string device() const = 0;
    virtual wire::Transport transport() const = 0;
    /// How adapter and memory reach each other: "peer_switch", "peer_bridge", "host" or "card".
    virtual std::string path() const = 0;
    /// The card whose memory it is; nothing: host memory.
    virtual std::optional<unsigned> card() const = 0;
    /// For people: "card0", "host memory".
    virtual std::string memory_name() const = 0;
    /// \throws Error not_isolated
    virtual void require_isolation(Isolation::Level level) const = 0;

    virtual std::unique_ptr<Endpoint> make_endpoint(std::uint32_t depth) const = 0;
    /// Memory of `length` bytes; `access`: IBV_ACCESS_* flags. \throws Error, Failure
    virtual std::unique_ptr<Buffer> make_buffer(std::uint64_t length, int access) const = 0;
    /// The same, of whatever memory is near to this program.
    virtual std::unique_ptr<Buffer> make_scratch(std::uint64_t length, int access) const = 0;
    /// What make_buffer() may take for received data.
    virtual Room room() const = 0;
    /// What it may take at once for data on its way out.
    virtual std::uint64_t most_staging() const = 0;
    /// What the adapter counted since this site was made, if it counts anything.
    virtual std::vector<std::pair<std::string, std::uint64_t>> counters() const { return {}; }
};

/// What host memory may be taken for received data.
Room host_room();

/// An adapter of this machine, with its memory or a card's.
class HostSite final : public Site {
public:
    HostSite(Adapter adapter, const std::optional<Card>& card)
        : adapter_(std::move(adapter)), card_(card)
    {
    }

    std::string device() const override { return adapter_.name(); }
    wire::Transport transport() const override { return adapter_.transport(); }
    std::string path() const override { return adapter_.path_to(card_); }
    std::optional<unsigned> card() const override;
    std::string memory_name() const override;
    void require_isolation(Isolation::Level level) const override;
    std::unique_ptr<Endpoint> make_endpoint(std::uint32_t depth) const override;
    std::unique_ptr<Buffer> make_buffer(std::uint64_t length, int access) const override;
    std::unique_ptr<Buffer> make_scratch(std::uint64_t length, int access) const override;
    Room room() const override;
    std::uint64_t most_staging() const override;

private:
    Adapter adapter_;
    const std::optional<Card>& card_;
};

} // namespace p2prdma::tool
