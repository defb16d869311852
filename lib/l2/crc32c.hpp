// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace p2prdma::l2 {

/// CRC32C (Castagnoli; as in iSCSI, RFC 3720 appendix B.4) of what `crc` was of, followed by
/// `bytes`; begin with 0. By the way that is the fastest here, which the first call finds out.
/// Thread-safe.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// The ways to compute it, for tests and benches.
using Crc32cFunction = std::uint32_t (*)(std::uint32_t crc,
                                         std::span<const std::byte> bytes) noexcept;
struct Crc32cWay {
    const char* name;
    Crc32cFunction function;
};
/// Those that this processor can do; the first is plain C++.
[[nodiscard]] std::span<const Crc32cWay> crc32c_ways() noexcept;

} // namespace p2prdma::l2
