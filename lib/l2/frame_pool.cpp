// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/frame_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace p2prdma::l2 {

std::uint32_t FramePool::take(std::size_t size)
{
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(frames_.size()));
        frames_.emplace_back();
    }
    const auto frame = free_.back();
    auto& buffer = frames_[frame];
    if (buffer.capacity < size) {
        buffer.capacity = std::max<std::size_t>(std::bit_ceil(size), 128);
        buffer.bytes = std::make_unique_for_overwrite<std::byte[]>(buffer.capacity);
    }
    buffer.size = size;
    free_.pop_back();
    return frame;
}

std::uint32_t FramePool::copy(std::uint32_t frame)
{
    const auto twin = take(frames_[frame].size);
    std::memcpy(frames_[twin].bytes.get(), frames_[frame].bytes.get(), frames_[frame].size);
    return twin;
}

} // namespace p2prdma::l2
