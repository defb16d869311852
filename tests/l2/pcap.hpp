// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

/// Captures in the classic pcap format (draft-ietf-opsawg-pcap), link type Ethernet.
namespace p2prdma::l2 {

using CapturedFrames = std::vector<std::vector<std::byte>>;

/// Always little-endian, one frame each microsecond from time 0: the same bytes on any machine.
std::vector<std::byte> pcap_bytes(const CapturedFrames& frames);

/// The reverse, of either byte order; nothing if it is no such capture.
std::optional<CapturedFrames> pcap_frames(std::span<const std::byte> bytes);

/// \throws std::ios_base::failure
std::vector<std::byte> file_bytes(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

} // namespace p2prdma::l2
