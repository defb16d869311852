// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// libFuzzer on the frame codec: whatever is parsed, composed again, gives the same bytes. Mutants
// mostly get a right CRC, and start from the golden frames.
#include "tests/l2/frame_check.hpp"
#include "tests/l2/golden_frames.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace p2prdma::l2;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max);

namespace {

const std::vector<std::vector<std::byte>>& seeds()
{
    static const auto all = [] {
        std::vector<std::vector<std::byte>> frames;
        for (const auto& capture : wire::golden_captures())
            frames.insert(frames.end(), capture.frames.begin(), capture.frames.end());
        return frames;
    }();
    return all;
}

} // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max, unsigned seed)
{
    if (size < 14 || seed % 64 == 0) {
        const auto& frame = seeds()[seed / 64 % seeds().size()];
        size = std::min(frame.size(), max);
        std::copy_n(reinterpret_cast<const std::uint8_t*>(frame.data()), size, data);
    }
    size = LLVMFuzzerMutate(data, size, max);
    if (seed % 8 != 0)
        wire::mend_as_frame(std::as_writable_bytes(std::span(data, size)));
    return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (!wire::parses_right(std::as_bytes(std::span(data, size))))
        std::abort();
    return 0;
}
