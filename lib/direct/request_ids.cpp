// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "p2prdma/direct/request_ids.hpp"

#include <bit>
#include <cstddef>

namespace p2prdma::direct {

RequestIds::RequestIds(std::uint32_t entries, std::uint16_t generation)
    : free_(std::make_unique<std::uint16_t[]>(entries)), free_count_(entries), entries_(entries),
      mask_((1u << std::bit_width(entries)) - 1),
      tag_(static_cast<std::uint16_t>(generation << std::bit_width(entries)))
{
    requests_ = std::make_unique<Request[]>(std::size_t{mask_} + 1);
    for (std::uint32_t i = 0; i < entries; ++i)
        free_[i] = static_cast<std::uint16_t>(entries - 1 - i); // 0 is taken first
}

} // namespace p2prdma::direct
