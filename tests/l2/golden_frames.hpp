// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace p2prdma::l2::wire {

/// A file below tests/golden/l2, without its ending, and the frames in it.
struct GoldenCapture {
    std::string name;
    std::vector<std::vector<std::byte>> frames;
};

/// Frames of every kind, with every extension, as two stations would send them.
std::vector<GoldenCapture> golden_captures();

} // namespace p2prdma::l2::wire
