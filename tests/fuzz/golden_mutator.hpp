// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "tests/l2/frame_check.hpp"
#include "tests/l2/golden_frames.hpp"

#include <algorithm>
#include <cstdint>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max);

namespace p2prdma::l2 {

inline const std::vector<std::vector<std::byte>>& golden_frames()
{
    static const auto all = [] {
        std::vector<std::vector<std::byte>> frames;
        for (const auto& capture : wire::golden_captures())
            frames.insert(frames.end(), capture.frames.begin(), capture.frames.end());
        return frames;
    }();
    return all;
}

/// For libFuzzer: what is mutated is now and then a golden frame, and mostly gets a right CRC.
inline std::size_t mutate_frame(std::uint8_t* data, std::size_t size, std::size_t max,
                                unsigned seed)
{
    if (size < 14 || seed % 64 == 0) {
        const auto& frame = golden_frames()[seed / 64 % golden_frames().size()];
        size = std::min(frame.size(), max);
        std::copy_n(reinterpret_cast<const std::uint8_t*>(frame.data()), size, data);
    }
    size = LLVMFuzzerMutate(data, size, max);
    if (seed % 8 != 0)
        wire::mend_as_frame(std::as_writable_bytes(std::span(data, size)));
    return size;
}

} // namespace p2prdma::l2
