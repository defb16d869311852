// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/card.hpp"
#include "p2prdma/doorbell.hpp"
#include "p2prdma/memory.hpp"
#include "tools/p2prdmad/provider.hpp"

#include <optional>

namespace p2prdma::daemon {

/// Memory of the pool for a client.
struct CardMemory final : Target {
    CardMemory(Memory allocated, bool uncached, bool read_only);

    int dmabuf() const noexcept override { return memory.fd(); }

    Memory memory;
};

/// A doorbell page for a client.
struct CardEvent final : Event {
    CardEvent(Doorbell opened, bool relayed, std::string why);

    int dmabuf() const noexcept override { return doorbell.fd(); }
    /// Raises a relayed event with a value.
    void raise(std::uint64_t value) noexcept;

    Doorbell doorbell;

private:
    std::optional<Mapping> mapping_; ///< if it is relayed
};

} // namespace p2prdma::daemon
