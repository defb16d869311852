// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <sys/types.h>

#include <sha256.h>

namespace p2prdma::tool {

using Digest = std::array<std::byte, SHA256_DIGEST_LENGTH>;

/// SHA-256 of what is given to update(), piece by piece.
class Sha256 {
public:
    Sha256() noexcept { SHA256Init(&state_); }
    void update(std::span<const std::byte> data) noexcept
    {
        SHA256Update(&state_, reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
    }
    /// The digest; nothing may follow.
    Digest finish() noexcept
    {
        Digest digest;
        SHA256Final(reinterpret_cast<std::uint8_t*>(digest.data()), &state_);
        return digest;
    }

private:
    SHA2_CTX state_;
};

/// 64 lower-case hexadecimal digits.
std::string to_hex(const Digest& digest);

} // namespace p2prdma::tool
