// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

// What the library's sources share. The kernel's ABI is seen here and in the sources only, never
// in a public header: the from_uapi() functions are the sole translators.

#include "p2prdma/card.hpp"
#include "p2prdma/error.hpp"

#include <linux/p2prdma.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace p2prdma::internal {

/// ioctl() that returns 0 or an errno.
[[nodiscard]] int control(int fd, unsigned long command, void* argument) noexcept;

[[nodiscard]] CardInfo from_uapi(const p2prdma_get_info& info);
[[nodiscard]] Reach from_uapi(const p2prdma_query_reach& answer);
[[nodiscard]] PciAddress from_uapi(const p2prdma_pci_addr& address) noexcept;
[[nodiscard]] p2prdma_pci_addr to_uapi(const PciAddress& address) noexcept;

/// What an errno of open() on a card's device node or of GET_INFO means.
[[nodiscard]] Error open_error(int error, const std::string& path);
/// What an errno of the other ioctls on a card means: "cannot WHAT of CARD".
[[nodiscard]] Error card_error(int error, const std::string& card, const std::string& what);
/// What EBUSY means for what a card's one daemon owns.
[[nodiscard]] Error busy_error(const std::string& card, const std::string& what);
/// What an errno of MEM_ALLOC means; `info` is the card's state after the failure.
[[nodiscard]] Error allocate_error(int error, const std::string& card, std::uint64_t wanted,
                                   const CardInfo& info);
/// What an errno of ibv_reg_dmabuf_mr means; `reach` says what the kernel thinks of the two
/// devices, nullptr if that could not be asked.
[[nodiscard]] Error region_error(int error, const std::string& adapter, const Reach* reach);
/// What an errno of ibv_reg_mr means.
[[nodiscard]] Error host_region_error(int error, const std::string& adapter, std::uint64_t length);
/// What an errno of HCA_REGS means for the `what` of `adapter`.
[[nodiscard]] Error registers_error(int error, const std::string& adapter, const std::string& what,
                                    const p2prdma_hca_regs& request);
/// "doing WHAT: the system's text for error".
[[nodiscard]] Error system_error(int error, const std::string& what);

/// How a range is split into naturally aligned accesses: single bytes up to the first address
/// that is a multiple of 8, then whole words, then single bytes.
struct Split {
    std::size_t head;
    std::size_t words;
    std::size_t tail;
};

[[nodiscard]] constexpr Split split_access(std::uintptr_t address, std::size_t length) noexcept
{
    const std::size_t to_boundary = -address & 7;
    const std::size_t head = to_boundary < length ? to_boundary : length;
    return {head, (length - head) / 8, (length - head) % 8};
}

} // namespace p2prdma::internal
