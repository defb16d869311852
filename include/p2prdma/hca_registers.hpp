// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/memory.hpp"
#include "p2prdma/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

struct ibv_context;

namespace p2prdma {

/// Registers, queue memory or a ring of an RDMA adapter as a dma-buf that windows can lead to.
struct HcaRange {
    UniqueFd dmabuf;
    std::uint64_t offset = 0;             ///< of the first byte in the dma-buf
    std::uint64_t length = 0;             ///< bytes
    Cache cache = Cache::write_combining; ///< how the CPU that uses it must map it
};

/// Makes dma-bufs of what this process has mapped from an RDMA adapter's driver: the owner of a
/// descriptor of /dev/p2prdma/hca. Move-only.
///
/// Thread-safety: const methods may be called by several threads at once.
class P2PRDMA_API HcaRegisters final {
public:
    /// \throws Error module_not_loaded (p2prdma_ib), not_permitted
    [[nodiscard]] static HcaRegisters open();

    /// A doorbell: device registers, 4-byte aligned, within a page.
    [[nodiscard]] HcaRange doorbell(const ibv_context& adapter,
                                    std::span<const volatile std::byte> mapped) const;
    /// Queue memory on the device: whole pages.
    [[nodiscard]] HcaRange queue(const ibv_context& adapter,
                                 std::span<const volatile std::byte> mapped) const;
    /// A ring in host memory that the driver maps: whole pages.
    [[nodiscard]] HcaRange ring(const ibv_context& adapter,
                                std::span<const volatile std::byte> mapped) const;
    // All three: \throws Error unsupported (not of that kind, not contiguous, or no whole pages,
    // which may be shared with a foreign queue), bad_argument (a doorbell's alignment, or not
    // mapped from this adapter), not_permitted, no_such_adapter

private:
    explicit HcaRegisters(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
    [[nodiscard]] HcaRange ask(const ibv_context& adapter,
                               std::span<const volatile std::byte> mapped, std::uint32_t kind,
                               const char* name) const;

    UniqueFd fd_;
};

} // namespace p2prdma
