// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// libFuzzer on the frame codec: whatever is parsed, composed again, gives the same bytes.
#include "tests/fuzz/golden_mutator.hpp"

#include <cstdlib>

using namespace p2prdma::l2;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max, unsigned seed)
{
    return mutate_frame(data, size, max, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (!wire::parses_right(std::as_bytes(std::span(data, size))))
        std::abort();
    return 0;
}
