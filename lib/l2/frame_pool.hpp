// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace p2prdma::l2 {

/// Frames that are somewhere in a simulated network; their buffers are used again.
class FramePool {
public:
    /// A buffer for a frame of `size` bytes, not initialized. Its number stays valid until
    /// give_back(), its bytes stay where they are.
    [[nodiscard]] std::uint32_t take(std::size_t size);
    [[nodiscard]] std::uint32_t copy(std::uint32_t frame);
    void give_back(std::uint32_t frame) { free_.push_back(frame); }

    [[nodiscard]] std::span<std::byte> bytes(std::uint32_t frame) noexcept
    {
        return {frames_[frame].bytes.get(), frames_[frame].size};
    }
    [[nodiscard]] std::size_t in_use() const noexcept { return frames_.size() - free_.size(); }

private:
    struct Buffer {
        std::unique_ptr<std::byte[]> bytes;
        std::size_t capacity = 0;
        std::size_t size = 0;
    };

    std::vector<Buffer> frames_;
    std::vector<std::uint32_t> free_;
};

} // namespace p2prdma::l2
