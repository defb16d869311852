// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// libFuzzer on an engine with a connection: an input is one byte, EngineTarget::Aim, and a frame.
// It lands in a connection that earlier inputs have been thrown at, until that has ended.
#include "tests/fuzz/golden_mutator.hpp"
#include "tests/l2/engine_target.hpp"

#include <cstdlib>

using namespace p2prdma::l2;

namespace {

std::unique_ptr<EngineTarget> target;
std::uint64_t seed = 0;

} // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max, unsigned random)
{
    if (size == 0)
        data[0] = 0x1f;
    const auto frame = size == 0 ? 0 : size - 1;
    if (random % 16 == 1)
        data[0] = static_cast<std::uint8_t>(random >> 4 & 0x1f);
    return 1 + mutate_frame(data + 1, frame, max - 1, random);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    if (!target || !target->is_connected())
        target = std::make_unique<EngineTarget>(++seed);
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    target->feed({bytes.begin(), bytes.end()}, data[0] & 0x1fU);
    if (!target->is_unharmed())
        std::abort();
    return 0;
}
