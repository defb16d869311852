// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/unique_fd.hpp"
#include "tools/p2prdma/frame_tap.hpp"

#include <string>
#include <vector>

namespace p2prdma::tool {

/// Writes frames as pcapng, which Wireshark and tshark read. Each frame is a whole block, written
/// at once: what is there can always be read.
class CaptureFile {
public:
    /// \param path  "-": standard output \throws Failure
    CaptureFile(const std::string& path, const std::string& interface);

    /// \throws Failure no_space, or the error
    void write(const TappedFrame& frame);

private:
    void write_block(std::uint32_t type, std::span<const std::byte> body);

    std::string path_;
    UniqueFd owned_;
    int fd_ = -1;
    std::vector<std::byte> block_;
};

} // namespace p2prdma::tool
