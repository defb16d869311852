// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct ibv_mr;
struct ibv_pd;

namespace p2prdma {

class Memory;

/// Memory registered with an RDMA adapter: the owner of an ibv_mr. Move-only.
///
/// A region of card memory keeps that memory allocated. It must go before its protection domain.
class P2PRDMA_API MemoryRegion final {
public:
    /// Registers host memory, which must outlive the region. `access`: IBV_ACCESS_* flags.
    /// \throws Error out of locked memory, not_permitted, or the errno of ibv_reg_mr
    MemoryRegion(ibv_pd* pd, std::span<std::byte> memory, int access);
    /// Registers all of a card's `memory` as a dma-buf; remote addresses in it start at 0.
    /// \throws Error unreachable (the sentence names the two devices and the bridge between them),
    ///         unsupported (the adapter's driver cannot import), card_gone, or an errno
    MemoryRegion(ibv_pd* pd, const Memory& memory, int access);

    [[nodiscard]] std::uint32_t lkey() const noexcept;
    [[nodiscard]] std::uint32_t rkey() const noexcept;
    /// The address that work requests, local and remote, give for the region's first byte.
    [[nodiscard]] std::uint64_t address() const noexcept { return address_; }
    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }

private:
    struct Deregister {
        P2PRDMA_API void operator()(ibv_mr* region) const noexcept;
    };

    std::unique_ptr<ibv_mr, Deregister> region_;
    std::uint64_t address_ = 0;
    std::uint64_t length_ = 0;
};

} // namespace p2prdma
