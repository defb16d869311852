// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tests/l2/frame_check.hpp"

#include "lib/l2/wire_rules.hpp"
#include "tests/l2/raw_frame.hpp"

#include <functional>

namespace p2prdma::l2::wire {
namespace {

bool is_inside(std::span<const std::byte> part, std::span<const std::byte> whole)
{
    const std::less_equal<> before;
    return part.empty() || (before(whole.data(), part.data()) &&
                            before(part.data() + part.size(), whole.data() + whole.size()));
}

} // namespace

void mend_as_frame(std::span<std::byte> bytes, Sealer* sealer)
{
    const std::size_t start =
        bytes.size() >= 14 && load_big<std::uint16_t>(&bytes[12]) == 0x8100 ? 18 : 14;
    if (bytes.size() < start + header_size)
        return;
    const auto* header = &bytes[start];
    std::size_t covered = header_size + load_big<std::uint16_t>(header + 12);
    for (std::size_t i = 0; i < extension_sizes.size(); i++)
        covered += std::to_integer<unsigned>(header[11]) >> i & 1 ? extension_sizes[i] : 0U;
    const bool has_seal = (std::to_integer<unsigned>(header[2]) & sealed) != 0;
    covered += has_seal ? seal_size : 0;
    if (bytes.size() < start + covered + crc_size)
        return;
    if (has_seal && sealer) {
        const std::span<const std::byte> part = bytes.subspan(start, covered - seal_size);
        sealer->seal({&part, 1}, bytes.subspan(start + covered - seal_size).first<seal_size>());
    }
    store_big(&bytes[start + covered], crc32c(0, bytes.subspan(start, covered)));
}

bool parses_right(std::span<const std::byte> bytes)
{
    Frame frame;
    if (parse(bytes, test_type, frame) != Verdict::good)
        return true;
    for (const auto& part : {frame.payload, frame.seal, frame.sealed_part})
        if (!is_inside(part, bytes))
            return false;
    const auto again = raw_frame(frame);
    Frame parsed;
    return again.size() <= bytes.size() && same(again, bytes.first(again.size())) &&
           parse(again, test_type, parsed) == Verdict::good && parsed == frame;
}

} // namespace p2prdma::l2::wire
