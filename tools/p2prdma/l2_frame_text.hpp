// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "lib/l2/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace p2prdma::tool {

/// What a frame says, in one line without addresses of the sender: "write qp 5 psn 7 first last
/// 1024 bytes to 0x7f... key 0x1234". Of a frame that is none: why.
std::string l2_frame_text(std::span<const std::byte> bytes, std::uint16_t ether_type);

const char* to_string(l2::wire::Verdict verdict) noexcept;

} // namespace p2prdma::tool
